//! Asks an agent over its control socket.

use std::path::Path;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::api::{ApiError, ChatEnd, ChatRequest, ErrorKind, Reply, Request};
use crate::control::MAX_LINE;
use crate::home::socket_path;

/// A connection to the agent of one home. One request at a time.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the agent that runs on `home`.
    ///
    /// # Errors
    /// [`ErrorKind::NoAgent`] where none does.
    pub async fn connect(home: &Path) -> Result<Self, ApiError> {
        let stream = UnixStream::connect(socket_path(home)).await.map_err(|_| ApiError {
            kind: ErrorKind::NoAgent,
            message: format!("no agent runs on {}", home.display()),
            remedy: "Start one with `sedge agent run`, or name its home with --home.".to_owned(),
        })?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Asks, and reads the answer as the `T` that [`Request`] names.
    ///
    /// # Errors
    /// What the agent answered, or [`ErrorKind::Failed`] where it went away.
    pub async fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, ApiError> {
        self.say(request).await?;
        let value = match self.hear().await? {
            Reply::Ok(value) => value,
            Reply::Error(error) => return Err(error),
            Reply::Part(_) => return Err(gone("it answered in parts what is answered at once")),
        };
        serde_json::from_value::<T>(value).map_err(|e| gone(&e.to_string()))
    }

    /// Asks for text, which is then heard piece by piece. Dropping what is returned ends it.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`] where the agent went away.
    pub async fn chat(mut self, request: ChatRequest) -> Result<ChatClient, ApiError> {
        self.say(&Request::Chat(request)).await?;
        Ok(ChatClient(self))
    }

    async fn say(&mut self, request: &Request) -> Result<(), ApiError> {
        let mut line = serde_json::to_vec(request).expect("requests are plain data");
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).await.map_err(|e| gone(&e.to_string()))
    }

    async fn hear(&mut self) -> Result<Reply, ApiError> {
        let mut answer = Vec::new();
        let limit = MAX_LINE as u64;
        let read = (&mut self.stream).take(limit).read_until(b'\n', &mut answer).await;
        read.map_err(|e| gone(&e.to_string()))?;
        if answer.last() != Some(&b'\n') {
            return Err(gone("it closed the connection"));
        }
        serde_json::from_slice(&answer).map_err(|e| gone(&e.to_string()))
    }
}

/// A text on its way from an agent.
#[derive(Debug)]
pub struct ChatClient(Client);

/// What is heard of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A piece of it, whole characters.
    Text(String),
    /// Its end. Nothing comes after it.
    End(ChatEnd),
}

impl ChatClient {
    /// Waits for the next piece, or the end.
    ///
    /// # Errors
    /// What the agent answered, or [`ErrorKind::Failed`] where it went away.
    pub async fn next(&mut self) -> Result<Heard, ApiError> {
        match self.0.hear().await? {
            Reply::Part(part) => Ok(Heard::Text(part.text)),
            Reply::Ok(end) => serde_json::from_value(end).map(Heard::End).map_err(|e| gone(&e.to_string())),
            Reply::Error(error) => Err(error),
        }
    }
}

fn gone(why: &str) -> ApiError {
    ApiError {
        kind: ErrorKind::Failed,
        message: format!("the agent did not answer: {why}"),
        remedy: "Look at the agent's log; if it was stopped or is of another version, start it again.".to_owned(),
    }
}
