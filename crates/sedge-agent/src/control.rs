//! The control socket: one line of JSON asks, one line answers. Mode 0600 in a home of mode 0700: whoever may read the
//! node's key may steer it, and nobody else.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{ApiError, ChatPart, ChatRequest, ErrorKind, Reply, Request};
use crate::core::Core;

/// The longest line either way: an inference on a batch of images as JSON fits, an accident does not.
pub(crate) const MAX_LINE: usize = 64 << 20;
/// Connections served at once; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 32;
/// Of these, how many may ask models at once: an answer takes minutes, and the operator's requests find a place beside them.
const ASKING: usize = 24;
/// How long a client may take over one line once it began, so that half a request does not hold a place for ever.
const LINE_DEADLINE: Duration = Duration::from_secs(30);

/// How long a client may take to read one reply.
const REPLY_DEADLINE: Duration = Duration::from_secs(10);

/// Serves the socket until cancelled.
pub(crate) async fn serve(listener: UnixListener, core: Arc<Core>, cancel: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let asking = Arc::new(Semaphore::new(ASKING));
    let tracker = TaskTracker::new();
    loop {
        let place = tokio::select! {
            () = cancel.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (core, asking, cancel) = (Arc::clone(&core), Arc::clone(&asking), cancel.clone());
        tracker.spawn(async move {
            let _place = place;
            if let Err(error) = converse(stream, &core, &asking, &cancel).await {
                tracing::debug!(%error, "a control connection ended");
            }
        });
    }
    tracker.close();
    tracker.wait().await;
}

/// Binds the socket of a locked home; one that a killed agent left behind is replaced.
pub(crate) fn bind(path: &PathBuf) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn converse(
    stream: UnixStream,
    core: &Arc<Core>,
    asking: &Semaphore,
    cancel: &CancellationToken,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let line = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            line = read_line(&mut stream) => line?,
        };
        let Some(line) = line else { return Ok(()) };
        let reply = match serde_json::from_slice::<Request>(&line) {
            Ok(request @ (Request::Chat(_) | Request::Infer { .. })) => {
                tokio::select! {
                    () = cancel.cancelled() => return Ok(()),
                    told = ask(&mut stream, core, asking, request) => match told? {
                        Some(reply) => reply,
                        None => return Ok(()),
                    },
                }
            }
            Ok(request) => {
                tokio::select! {
                    () = cancel.cancelled() => return Ok(()),
                    answer = answer(core, request) => answer.map_or_else(Reply::Error, Reply::Ok),
                }
            }
            Err(error) => Reply::Error(ApiError {
                kind: ErrorKind::Usage,
                message: format!("not a request of this agent: {error}"),
                remedy: "Use a `sedge` of the same version as the agent.".to_owned(),
            }),
        };
        say(&mut stream, &reply).await?;
    }
}

async fn say(stream: &mut BufReader<UnixStream>, reply: &Reply) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(reply).expect("replies are plain data");
    bytes.push(b'\n');
    // A client that does not read holds its place, and a stopping agent, no longer than this.
    tokio::time::timeout(REPLY_DEADLINE, stream.get_mut().write_all(&bytes)).await?
}

/// Asks a model, where a place is left for that; none where the client left, which ends the request.
async fn ask(
    stream: &mut BufReader<UnixStream>,
    core: &Arc<Core>,
    asking: &Semaphore,
    request: Request,
) -> io::Result<Option<Reply>> {
    // Tried and not awaited: whoever waits here has a connection's place, which the operator needs.
    let Ok(_place) = asking.try_acquire() else {
        return Ok(Some(Reply::Error(ApiError::failed(
            format!("{ASKING} requests to models are being answered already"),
            "Ask again a little later, or less often.",
        ))));
    };
    match request {
        Request::Chat(request) => tell(stream, core, request).await,
        request => tokio::select! {
            answer = answer(core, request) => Ok(Some(answer.map_or_else(Reply::Error, Reply::Ok))),
            () = left(stream) => Ok(None),
        },
    }
}

/// Tells a text as it comes, and gives what is to be said last; none where the client left, which ends the text.
async fn tell(stream: &mut BufReader<UnixStream>, core: &Core, asked: ChatRequest) -> io::Result<Option<Reply>> {
    let mut chat = tokio::select! {
        chat = core.chat(&asked.slot, asked.request) => match chat {
            Ok(chat) => chat,
            Err(error) => return Ok(Some(Reply::Error(error))),
        },
        () = left(stream) => return Ok(None),
    };
    loop {
        let piece = tokio::select! {
            piece = chat.next() => piece,
            () = left(stream) => return Ok(None),
        };
        let Some(text) = piece else { break };
        say(stream, &Reply::Part(ChatPart { text })).await?;
    }
    Ok(Some(chat.end().await.map_or_else(Reply::Error, |end| Reply::Ok(json(end)))))
}

/// Waits until the client closes its end. One that asks the next thing already does not leave.
async fn left(stream: &mut BufReader<UnixStream>) {
    match stream.fill_buf().await {
        Ok(asked) if !asked.is_empty() => std::future::pending().await,
        _ => {}
    }
}

/// One line without its end; none at the end of the stream.
async fn read_line(stream: &mut BufReader<UnixStream>) -> io::Result<Option<Vec<u8>>> {
    // An idle client may stay; one that began a line must end it.
    if stream.fill_buf().await?.is_empty() {
        return Ok(None);
    }
    let mut line = Vec::new();
    let mut bounded = stream.take(MAX_LINE as u64);
    tokio::time::timeout(LINE_DEADLINE, bounded.read_until(b'\n', &mut line)).await??;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end, or longer than allowed")),
    }
}

fn json<T: Serialize>(value: T) -> Value {
    serde_json::to_value(value).expect("answers are plain data")
}

async fn answer(core: &Arc<Core>, request: Request) -> Result<Value, ApiError> {
    core.look_elsewhere(&request).await;
    Ok(match request {
        Request::Status => json(core.status().await),
        Request::NodeList => json(core.nodes()),
        Request::NodeShow { node } => json(core.node(&node)?),
        Request::Invite(request) => json(core.invite(request)?),
        Request::EnrollApprove(request) => json(core.approve_enrolment(request).await?),
        Request::ModelAdd(request) => json(core.add_model(request).await?),
        Request::ModelList => json(core.models()),
        Request::ModelShow { model } => json(core.model(&model)?),
        Request::ModelVerify { model } => json(core.verify_model(&model).await?),
        Request::ModelLog { id } => json(core.model_log(&id)?),
        Request::Import(request) => json(core.import(request).await?),
        Request::DraftList => json(core.drafts()?),
        Request::DraftShow { model } => json(core.draft(&model)?),
        Request::DraftForget { model } => json(core.forget_draft(&model)?),
        Request::PeatExport { model } => core.peat_of(&model)?,
        Request::Deploy(request) => json(core.deploy(request).await?),
        Request::DeployPlan(request) => json(core.plan_deployment(request)?),
        Request::RolloutList => json(core.rollouts()),
        Request::RolloutShow { rollout, after } => json(core.rollout(&rollout, after).await?),
        Request::RolloutExplain { rollout, node } => json(core.explain(&rollout, &node)?),
        Request::RolloutControl { rollout, action, reason } => json(core.control(&rollout, action, reason).await?),
        Request::RolloutApprove { rollout } => json(core.approve(&rollout).await?),
        Request::NodeRevoke(request) => json(core.revoke(request).await?),
        Request::NodeLabel(request) => json(core.relabel(request).await?),
        Request::MeshShow => json(core.mesh_shown()),
        Request::MeshRotate(request) => json(core.rotate(request).await?),
        Request::MeshApprove { id } => json(core.sign_roots(id).await?),
        Request::Infer { slot, inputs, parameters } => json(core.infer_json(&slot, &inputs, parameters).await?),
        Request::Chat(_) => unreachable!("a text is told, and not answered at once"),
        Request::Offline => {
            core.set_offline(true).await?;
            Value::Null
        }
        Request::Online => {
            core.set_offline(false).await?;
            Value::Null
        }
        Request::Stop => {
            core.request_stop();
            Value::Null
        }
        Request::Doctor => json(core.doctor()),
    })
}
