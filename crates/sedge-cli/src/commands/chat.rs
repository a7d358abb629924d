//! `sedge chat`

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sedge_agent::api::{ChatEnd, ChatPart, ChatRequest};
use sedge_agent::{ChatClient, Client, Heard};
use sedge_statement::{Message, Prompt, Sampling, Speaker, TextRequest};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::failure::{Exit, Failure};
use crate::grammar::ChatArgs;
use crate::screen::Screen;

/// What stands before what a person types.
const MARK: &str = "> ";

/// Says one thing, or whatever comes line by line.
pub(crate) async fn run(home: &Path, args: ChatArgs, screen: &Screen) -> Result<Exit, Failure> {
    let mut conversation = Conversation::new(home, &args, screen);
    if let Some(prompt) = args.prompt {
        return conversation.say(prompt).await.map(|outcome| match outcome {
            Outcome::Stopped => Exit::Interrupted,
            Outcome::Said | Outcome::Unread => Exit::Done,
        });
    }
    let typed = io::stdin().is_terminal();
    let mut lines = lines();
    loop {
        if typed {
            eprint!("{MARK}");
        }
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
        };
        let Some(line) = line else { break };
        let line = line.map_err(|e| Failure::failed(format!("the standard input: {e}"), "Give --prompt instead."))?;
        if line.trim().is_empty() {
            continue;
        }
        match conversation.say(line).await {
            Ok(Outcome::Said) => {}
            Ok(Outcome::Stopped) if typed => {}
            Ok(Outcome::Stopped) => return Ok(Exit::Interrupted),
            Ok(Outcome::Unread) => return Ok(Exit::Done),
            // A person may want to say it otherwise, and begins anew.
            Err(failure) if typed && failure.exit == Exit::Usage => {
                failure.print();
                screen.remark("The conversation begins anew.");
                conversation.begin();
            }
            Err(failure) => return Err(failure),
        }
    }
    if typed {
        eprintln!();
    }
    Ok(Exit::Done)
}

/// The lines of the standard input, read on a thread that nobody waits for: a read from a terminal cannot be given up.
fn lines() -> mpsc::Receiver<io::Result<String>> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// How saying something ended.
enum Outcome {
    /// With the whole answer.
    Said,
    /// By Ctrl-C.
    Stopped,
    /// By a reader of the output that went away.
    Unread,
}

/// The last line of an answer as JSON.
#[derive(Serialize)]
struct Last<'a> {
    #[serde(flatten)]
    end: &'a ChatEnd,
    seed: u64,
}

/// What was said so far, and how it goes on.
struct Conversation<'a> {
    home: &'a Path,
    screen: &'a Screen,
    request: ChatRequest,
    system: Option<Message>,
    said: Vec<Message>,
}

impl<'a> Conversation<'a> {
    fn new(home: &'a Path, args: &ChatArgs, screen: &'a Screen) -> Self {
        let sampling = Sampling {
            temperature: args.temperature,
            top_k: args.top_k,
            top_p: args.top_p,
            seed: args.seed.unwrap_or_else(any_seed),
            repeat_penalty: args.repeat_penalty,
        };
        let prompt = Prompt::Messages(Vec::new());
        let request = TextRequest { prompt, max_tokens: args.max_tokens, sampling, stop: args.stop.clone() };
        let system = args.system.clone().map(|content| Message { role: Speaker::System, content });
        let request = ChatRequest { slot: args.slot.clone(), request };
        let mut conversation = Self { home, screen, request, system, said: Vec::new() };
        conversation.begin();
        conversation
    }

    /// Forgets what was said.
    fn begin(&mut self) {
        self.said = self.system.clone().into_iter().collect();
    }

    /// Says something, and shows the answer as it comes.
    async fn say(&mut self, content: String) -> Result<Outcome, Failure> {
        self.said.push(Message { role: Speaker::User, content });
        self.request.request.prompt = Prompt::Messages(self.said.clone());
        let client = Client::connect(self.home).await?;
        let mut chat = client.chat(self.request.clone()).await?;
        let mut answer = String::new();
        let outcome = self.hear(&mut chat, &mut answer).await;
        self.said.push(Message { role: Speaker::Assistant, content: answer });
        outcome
    }

    async fn hear(&self, chat: &mut ChatClient, answer: &mut String) -> Result<Outcome, Failure> {
        loop {
            let heard = tokio::select! {
                heard = chat.next() => heard,
                _ = tokio::signal::ctrl_c() => {
                    self.screen.remark("");
                    return Ok(Outcome::Stopped);
                }
            };
            match heard {
                Ok(Heard::Text(text)) => {
                    answer.push_str(&text);
                    self.piece(text)?;
                }
                Ok(Heard::End(end)) => return self.end(&end),
                Err(error) => {
                    if !answer.is_empty() {
                        self.screen.remark("");
                    }
                    return Err(error.into());
                }
            }
            if !self.screen.is_read() {
                return Ok(Outcome::Unread);
            }
        }
    }

    fn piece(&self, text: String) -> Result<(), Failure> {
        if !self.screen.is_json() {
            return self.screen.piece(&text);
        }
        self.screen.print(&ChatPart { text })
    }

    fn end(&self, end: &ChatEnd) -> Result<Outcome, Failure> {
        if self.screen.is_json() {
            let last = Last { end, seed: self.request.request.sampling.seed };
            self.screen.print(&last)?;
            return Ok(Outcome::Said);
        }
        self.screen.line("")?;
        let rate = end.tokens_per_second.map(|rate| format!(", {rate:.1} a second")).unwrap_or_default();
        let cut = match end.finish_reason.as_str() {
            "length" => " The answer was cut: it has as many tokens as it may.",
            "time" => " The answer was cut: its time was over.",
            _ => "",
        };
        self.screen.remark(&format!(
            "Answered by release {}, digest {}; {} tokens{rate}.{cut}",
            end.release.short(),
            end.sha256,
            end.usage.completion_tokens
        ));
        Ok(Outcome::Said)
    }
}

/// A seed that is another one each time.
fn any_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed again.
    u64::from(since.subsec_nanos()) ^ (since.as_secs() & 0xffff)
}
