//! One process of one function, measured from outside.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use acceptance::eventually::wait_for;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::aws::{Aws, STAGE, TABLES};
use crate::events::{ISSUER, ORIGIN_SECRET};
use crate::runtime_api::{Answer, RuntimeApi};
use crate::{Result, callgrind};

/// As long as those of a function's role.
const SESSION_TOKEN_CHARS: usize = 1_000;
/// The queue that the batches of `tests/events` come from.
const RECEIPTS_QUEUE_ARN: &str = "arn:aws:sqs:us-east-1:123456789012:clawdentity-receipts-dev";
/// What callgrind writes, in the scratch folder.
pub(crate) const PROFILE: &str = "callgrind.out";
/// A function that has not handled its events by then never will.
const PATIENCE: Duration = Duration::from_mins(5);

/// Where the programs are, and where callgrind may write.
pub(crate) struct Workshop {
    /// The folder of the release build.
    pub(crate) programs: PathBuf,
    /// For files that nobody needs afterwards.
    pub(crate) scratch: PathBuf,
    /// Whether there is a valgrind. Without it whatever would run under callgrind runs by itself.
    pub(crate) counts: bool,
}

/// How a function runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Under {
    /// By itself.
    Nothing,
    /// With every instruction counted.
    Callgrind,
}

/// What a process has executed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instructions {
    /// Everything, with SHA-256 as a processor that knows it would compute it.
    pub(crate) counted: u64,
    /// What the block function of SHA-256 has taken here, in software.
    pub(crate) sha256: u64,
}

/// A running function.
pub(crate) struct Function {
    name: String,
    child: Child,
    api: RuntimeApi,
    profile: Option<PathBuf>,
    log: PathBuf,
}

impl Function {
    /// Starts `name` against `aws` and waits until it asks for its first event. Answers how long that took, too.
    pub(crate) async fn start(
        workshop: &Workshop,
        name: &str,
        under: Under,
        aws: &Aws,
    ) -> Result<(Self, Duration)> {
        let api = RuntimeApi::start().await?;
        let program = workshop.programs.join(name);
        let is_counted = workshop.counts && under == Under::Callgrind;
        let profile = is_counted.then(|| workshop.scratch.join(PROFILE));
        let mut command = match &profile {
            None => Command::new(&program),
            Some(profile) => {
                let mut command = Command::new("valgrind");
                command.args(["--tool=callgrind", "--quiet"]);
                command.arg(format!("--callgrind-out-file={}", profile.display())).arg(&program);
                command
            }
        };
        let log = workshop.scratch.join(format!("{name}.log"));
        let output = std::fs::File::create(&log)?;
        command.env_clear().envs(environment(&api, aws));
        if is_counted {
            // Valgrind looks for its own parts by it.
            command.env("PATH", std::env::var("PATH").unwrap_or_default());
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let began = Instant::now();
        let child = command.spawn().map_err(|error| format!("{name} was not started: {error}"))?;
        let mut function = Self { name: name.to_owned(), child, api, profile, log };
        function.wait().await?;
        Ok((function, began.elapsed()))
    }

    /// Has it handle `events` and answers what became of each.
    pub(crate) async fn handle(&mut self, events: impl IntoIterator<Item = String>) -> Result<Vec<Answer>> {
        self.api.queue(events);
        self.wait().await?;
        Ok(self.api.take_answers())
    }

    /// Waits until it has handled everything and asks for more.
    async fn wait(&mut self) -> Result<()> {
        let finished = tokio::time::timeout(PATIENCE, async {
            tokio::select! {
                () = self.api.idle() => Ok(None),
                status = self.child.wait() => status.map(Some),
            }
        });
        let why = match finished.await {
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(status))) => format!("ended with {status}"),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => "did not finish".to_owned(),
        };
        Err(format!("{} {why}: {}", self.name, last_lines(&self.log)).into())
    }

    /// What it holds in memory, in kilobytes.
    pub(crate) fn resident_kb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Time on a processor so far.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/schedstat", self.id()?))?;
        let nanoseconds = text.split_whitespace().next().ok_or("nothing in /proc/…/schedstat")?;
        Ok(Duration::from_nanos(nanoseconds.parse()?))
    }

    /// Ends it, once it rests. Answers what it has executed, if that was counted.
    pub(crate) async fn stop(mut self) -> Result<Option<Instructions>> {
        // The last request for an event has arrived; what follows it in the function has not necessarily ended.
        let id = self.id()?;
        let mut before = None;
        wait_for("a function at rest", async || {
            let now = threads(id).map_err(|problem| problem.to_string())?;
            let is_at_rest = now.iter().all(Thread::sleeps) && before.as_ref() == Some(&now);
            let seen = format!("{now:?}");
            before = Some(now);
            is_at_rest.then_some(()).ok_or(seen)
        })
        .await?;
        kill(Pid::from_raw(i32::try_from(self.id()?)?), Signal::SIGTERM)?;
        self.child.wait().await?;
        self.profile.as_deref().map(callgrind::read).transpose()
    }

    fn id(&self) -> Result<u32> {
        Ok(self.child.id().ok_or_else(|| format!("{} has ended: {}", self.name, last_lines(&self.log)))?)
    }
}

/// A thread that sleeps, and has not been on a processor between two looks, waits for something.
#[derive(Debug, PartialEq, Eq)]
struct Thread {
    state: char,
    /// How often it has left a processor, of its own will or not.
    switches: Vec<String>,
}

impl Thread {
    const fn sleeps(&self) -> bool {
        self.state == 'S'
    }
}

fn threads(process: u32) -> Result<Vec<Thread>> {
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let status = std::fs::read_to_string(entry?.path().join("status"))?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let state = field("State:").and_then(|state| state.trim().chars().next());
        threads.push(Thread {
            state: state.ok_or("no State in /proc")?,
            switches: status
                .lines()
                .filter(|line| line.contains("ctxt_switches:"))
                .map(str::to_owned)
                .collect(),
        });
    }
    Ok(threads)
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

/// What Lambda and the template give a function; each takes what it knows.
fn environment(api: &RuntimeApi, aws: &Aws) -> Vec<(&'static str, String)> {
    let queue = |name: &str| format!("{}/123456789012/clawdentity-{name}-prod", aws.url);
    let mut variables = vec![
        ("AWS_LAMBDA_RUNTIME_API", api.address.clone()),
        ("AWS_LAMBDA_FUNCTION_NAME", "clawdentity-backbone-prod-bench".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/clawdentity-backbone-prod-bench".to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLEEXAMPLE00".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "examplesecretexamplesecretexamplesecret0".to_owned()),
        ("AWS_SESSION_TOKEN", "t".repeat(SESSION_TOKEN_CHARS)),
        ("AWS_ENDPOINT_URL", aws.url.clone()),
        ("CONNECTIONS_ENDPOINT", format!("{}/{STAGE}", aws.url)),
        ("RECEIPTS_QUEUE_URL", queue("receipts")),
        ("RECEIPTS_QUEUE_ARN", RECEIPTS_QUEUE_ARN.to_owned()),
        ("RECEIPTS_DLQ_URL", queue("receipts-dlq")),
        ("PEER_QUEUE_URL", queue("peer")),
        ("PEER_DLQ_URL", queue("peer-dlq")),
        ("EVENTS_QUEUE_URL", queue("events")),
        ("EVENTS_DLQ_URL", queue("events-dlq")),
        ("ALLOW_DIRECT", "no".to_owned()),
        ("ORIGIN_SECRET", ORIGIN_SECRET.to_owned()),
        ("INTERNAL_SERVICE_ID", "registry".to_owned()),
        ("INTERNAL_SERVICE_SECRET_SHA256", "dc".repeat(32)),
        ("REGISTRY_URL", ISSUER.to_owned()),
        ("ENVIRONMENT", "prod".to_owned()),
        ("LOG_LEVEL", "info".to_owned()),
        ("BACKBONE_VERSION", "0.1.0".to_owned()),
        ("CONNECT_PATHS", "/v1/relay/connect,/prod".to_owned()),
        ("CONNECTION_LEASE_SECONDS", "7500".to_owned()),
        ("RECEIPT_RETENTION_SECONDS", "604800".to_owned()),
        ("CRL_STALE_BEHAVIOR", "fail-open".to_owned()),
        ("CRL_MAX_AGE_MS", "900000".to_owned()),
        ("AGENT_RATE_LIMIT_REQUESTS_PER_MINUTE", "1000000000".to_owned()),
    ];
    variables.extend(TABLES.map(|(variable, table)| (variable, table.to_owned())));
    variables.extend(aws.bundle.as_ref().map(|file| ("AWS_CA_BUNDLE", file.display().to_string())));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_told_from_who_works() {
        let start = |program: &str, argument: &[&str]| {
            Command::new(program).args(argument).stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap()
        };
        let (waits, works) = (start("sleep", &["60"]), start("sh", &["-c", "while :; do :; done"]));
        for (child, expected) in [(waits, true), (works, false)] {
            let id = child.id().unwrap();
            let sleeps = async || threads(id).unwrap().iter().all(Thread::sleeps);
            wait_for("the program", async || {
                (sleeps().await == expected).then_some(()).ok_or_else(String::new)
            })
            .await
            .unwrap();
        }
    }
}
