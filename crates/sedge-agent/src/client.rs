//! Asks an agent over its control socket.

use std::fmt;
use std::io;
use std::path::Path;

use data_encoding::BASE64;
use sedge_fleet::MAX_ARCHIVE_BYTES;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::api::{ApiError, ChatEnd, ChatRequest, ErrorKind, EventsExported, Reply, Request};
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
    /// [`ErrorKind::NoAgent`] where none does; another where one may run and cannot be reached.
    pub async fn connect(home: &Path) -> Result<Self, ApiError> {
        match UnixStream::connect(socket_path(home)).await {
            Ok(stream) => Ok(Self { stream: BufReader::new(stream) }),
            Err(error) => Err(unreachable(home, &error)),
        }
    }

    /// Asks, and reads the answer as the `T` that [`Request`] names.
    ///
    /// # Errors
    /// What the agent answered, or [`ErrorKind::Failed`] where it went away or answered what is not understood.
    pub async fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, ApiError> {
        self.say(request).await?;
        let value = match self.hear().await? {
            Reply::Ok(value) => value,
            Reply::Error(error) => return Err(error),
            Reply::Part(_) | Reply::Bytes(_) => return Err(foreign(&"it comes in parts")),
        };
        serde_json::from_value::<T>(value).map_err(|e| foreign(&e))
    }

    /// Asks for text, which is then heard piece by piece. Dropping what is returned ends it.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`] where the agent went away.
    pub async fn chat(mut self, request: ChatRequest) -> Result<ChatClient, ApiError> {
        self.say(&Request::Chat(request)).await?;
        Ok(ChatClient(self))
    }

    /// Asks for the audit trail as a file that proves itself. Prove it: the agent is asked, and not believed.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn export_events(&mut self) -> Result<(Vec<u8>, EventsExported), ApiError> {
        self.say(&Request::EventsExport).await?;
        let mut archive = Vec::new();
        loop {
            match self.hear().await? {
                Reply::Bytes(piece) => archive.extend(BASE64.decode(piece.as_bytes()).map_err(|e| foreign(&e))?),
                Reply::Ok(end) => {
                    let end: EventsExported = serde_json::from_value(end).map_err(|e| foreign(&e))?;
                    return if end.bytes == archive.len() as u64 {
                        Ok((archive, end))
                    } else {
                        Err(foreign(&"bytes are missing"))
                    };
                }
                Reply::Error(error) => return Err(error),
                Reply::Part(_) => return Err(foreign(&"it comes in words")),
            }
            if archive.len() > MAX_ARCHIVE_BYTES {
                return Err(foreign(&"it has no end"));
            }
        }
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
        serde_json::from_slice(&answer).map_err(|e| foreign(&e))
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
            Reply::Ok(end) => serde_json::from_value(end).map(Heard::End).map_err(|e| foreign(&e)),
            Reply::Error(error) => Err(error),
            Reply::Bytes(_) => Err(foreign(&"it comes in bytes")),
        }
    }
}

/// Only a socket that is missing, or that nobody listens to, says that no agent runs.
fn unreachable(home: &Path, error: &io::Error) -> ApiError {
    let home = home.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ApiError {
            kind: ErrorKind::NoAgent,
            message: format!("no agent runs on {home}"),
            remedy: "Start one with `sedge agent run`, or name its home with --home.".to_owned(),
        },
        io::ErrorKind::PermissionDenied => ApiError::refused(
            format!("this user may not speak to the agent of {home}"),
            "Run this as the agent's user, as with `sudo -u sedge`, or name a home of yours with --home.",
        ),
        _ => ApiError::failed(
            format!("the agent of {home} cannot be reached: {error}"),
            "Check the home's path and file system, and the limits of this user.",
        ),
    }
}

fn gone(why: &str) -> ApiError {
    ApiError {
        kind: ErrorKind::Failed,
        message: format!("the agent did not answer: {why}"),
        remedy: "Look at the agent's log; if it was stopped, start it again.".to_owned(),
    }
}

/// It did answer, in words that this program does not know.
fn foreign(why: &dyn fmt::Display) -> ApiError {
    ApiError {
        kind: ErrorKind::Failed,
        message: format!("the agent's answer is not understood: {why}"),
        remedy: "Agent and program may be of different versions: start the agent again with this program.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::net::UnixListener;

    use super::*;
    use crate::api::Node;

    /// What a program is told whose agent says `answer` to everything, and then goes away.
    async fn told(answer: &'static [u8]) -> ApiError {
        let home = TempDir::new().unwrap();
        let listener = UnixListener::bind(socket_path(home.path())).unwrap();
        let agent = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            BufReader::new(&mut stream).read_until(b'\n', &mut Vec::new()).await.unwrap();
            stream.write_all(answer).await.unwrap();
        };
        let asked = async {
            let mut client = Client::connect(home.path()).await.unwrap();
            client.ask::<Vec<Node>>(&Request::NodeList).await.unwrap_err()
        };
        tokio::join!(agent, asked).1
    }

    #[tokio::test]
    async fn only_a_home_that_nobody_listens_on_has_no_agent() {
        let home = TempDir::new().unwrap();
        let reached = async || Client::connect(home.path()).await.map(drop).map_err(|error| error.kind);
        assert_eq!(reached().await, Err(ErrorKind::NoAgent));
        drop(UnixListener::bind(socket_path(home.path())).unwrap());
        assert_eq!(reached().await, Err(ErrorKind::NoAgent), "what a killed agent leaves");
        std::fs::remove_file(socket_path(home.path())).unwrap();
        std::fs::write(home.path().join("file"), "").unwrap();
        let inside_a_file = Client::connect(&home.path().join("file")).await.unwrap_err();
        assert_eq!(inside_a_file.kind, ErrorKind::Failed, "{inside_a_file}");
        let denied = unreachable(home.path(), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(denied.kind, ErrorKind::Refused);
        assert!(denied.remedy.contains("as the agent's user"), "{}", denied.remedy);
    }

    #[tokio::test]
    async fn an_answer_that_does_not_decode_is_told_from_an_agent_that_does_not_answer() {
        for foreign in [&b"{\"ok\":[{\"id\":7}]}\n"[..], b"{\"yes\":[]}\n", b"{\"part\":{\"text\":\"\"}}\n"] {
            let error = told(foreign).await;
            assert!(error.message.starts_with("the agent's answer is not understood: "), "{error}");
        }
        for cut in [&b""[..], b"{\"ok\":"] {
            assert_eq!(told(cut).await.message, "the agent did not answer: it closed the connection");
        }
    }
}
