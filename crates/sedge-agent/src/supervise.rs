//! The parts of a running agent end together: one that ends by itself, as by a panic, ends the agent, and a service manager
//! starts it anew. An agent without its loop would look alive and never update.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::core::Core;

/// Stays with the parts until each has ended.
pub(crate) async fn supervise(core: Arc<Core>, mut parts: JoinSet<()>) {
    tokio::select! {
        // What ends once the agent was asked to stop ends because it was.
        biased;
        () = core.stop.cancelled() => {}
        Some(end) = parts.join_next() => {
            match end {
                Err(error) => tracing::error!(%error, "a part of the agent ended badly, and the agent with it"),
                Ok(()) => tracing::error!("a part of the agent ended by itself, and the agent with it"),
            }
            core.fail();
        }
        reason = core.mesh.stopped() => {
            tracing::error!(?reason, "the mesh stopped, and the agent with it");
            core.fail();
        }
    }
    while let Some(end) = parts.join_next().await {
        if let Err(error) = end {
            tracing::error!(%error, "a part of the agent ended badly");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use tempfile::TempDir;
    use tokio::time::timeout;

    use crate::enroll::{InitOptions, init};
    use crate::home::socket_path;
    use crate::{Agent, AgentConfig, Stopped};

    const SOON: Duration = Duration::from_secs(30);

    async fn started() -> (TempDir, Agent) {
        let home = TempDir::new().unwrap();
        let options = InitOptions { name: "lab".parse().unwrap(), node: "robot".parse().unwrap() };
        init(home.path(), options).await.unwrap();
        let config = AgentConfig::new(home.path()).listen(([127, 0, 0, 1], 0).into()).nearby(false);
        let agent = Agent::start(config).await.unwrap();
        (home, agent)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_loop_that_panics_ends_the_agent_and_is_no_stop_that_was_asked_for() {
        let (home, agent) = started().await;
        agent.core().loop_panics.store(true, Ordering::Relaxed);
        assert_eq!(timeout(SOON, agent.stopped()).await, Ok(Stopped::Failed));
        timeout(SOON, agent.shutdown()).await.unwrap();
        assert!(!socket_path(home.path()).exists());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_mesh_that_ends_by_itself_is_no_stop_that_was_asked_for() {
        let (_home, agent) = started().await;
        agent.core().mesh.shutdown().await;
        assert_eq!(timeout(SOON, agent.stopped()).await, Ok(Stopped::Failed));
        timeout(SOON, agent.shutdown()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_agent_that_is_asked_to_stop_did_not_fail_whatever_ends_then() {
        let (_home, agent) = started().await;
        agent.core().request_stop();
        agent.core().mesh.shutdown().await;
        assert_eq!(timeout(SOON, agent.stopped()).await, Ok(Stopped::Asked));
        timeout(SOON, agent.shutdown()).await.unwrap();
    }
}
