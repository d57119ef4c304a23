//! A server process that this test started: its output, its processes, its signals, its end.
//!
//! Nothing stays behind, however the test ends: beside each server stands a guard, a small shell
//! that waits for the end of a pipe which this process holds open. When the test binary is gone,
//! killed or not, the guard kills the server and removes its folder.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for what a healthy server does in a few seconds, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of a server's output that are kept for whoever looks at a failure.
const SAID_MAX: usize = 200;
/// How often the processes of a server are counted while it is being stopped.
const ROUNDS_MAX: usize = 100;

/// Who runs a server: root lends it the user of its package, others run it themselves.
#[derive(Debug, Clone, Copy)]
pub struct RunAs(Option<(u32, u32)>);

impl RunAs {
    /// `None` when this is root and there is no such user.
    pub fn user(name: &str) -> Option<Self> {
        if std::fs::metadata("/proc/self").map_or(1, |own| own.uid()) != 0 {
            return Some(Self(None));
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let mut fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let found = fields.find(|fields| fields[0] == name)?;
        Some(Self(Some((found[2].parse().unwrap(), found[3].parse().unwrap()))))
    }

    /// A folder that this user may write to.
    pub fn folder(self) -> tempfile::TempDir {
        let folder = tempfile::Builder::new().prefix("buynow-server-").tempdir().unwrap();
        self.own(folder.path());
        folder
    }

    pub fn own(self, path: &Path) {
        if let Some((user, group)) = self.0 {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }

    /// A command of this user, in words that do not depend on where the machine stands.
    pub fn command(self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null()).process_group(0);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }
}

/// The program of this name in PATH, or else in one of these folders.
pub fn program(name: &str, elsewhere: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(elsewhere.iter().cloned());
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Runs a command to its end, which must be a good one.
#[track_caller]
pub fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let (said, complained) = (&output.stdout, &output.stderr);
    let (said, complained) = (String::from_utf8_lossy(said), String::from_utf8_lossy(complained));
    assert!(output.status.success(), "{command:?}: {}\n{said}{complained}", output.status);
}

/// Outside of the range that the system hands out itself, so that a server which is started again
/// finds its port free.
pub fn free_port() -> u16 {
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut candidates = std::iter::repeat_with(|| rand::random_range(10_000..32_000));
    candidates.by_ref().take(1_000).find(free).expect("no port is free")
}

/// A server that runs; killed when it is dropped.
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    said: Arc<Mutex<VecDeque<String>>>,
    guard: Guard,
}

impl Daemon {
    /// Starts it. `folder` is removed if this process ends without doing so.
    pub fn spawn(mut command: Command, folder: &Path) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let guard = Guard::over(child.id(), folder);
        let (send, lines) = channel();
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let (stderr, kept) = (child.stderr.take().unwrap(), said.clone());
        std::thread::spawn(move || pass_on(stderr, &send, &kept));
        Self { child, lines, said, guard }
    }

    /// Waits until it has said these words; the error is what it said instead.
    pub fn says(&self, words: &str) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(until.duration_since(Instant::now())) {
            if line.contains(words) {
                return Ok(());
            }
        }
        Err(format!("it never said {words:?} but:\n{}", self.said()))
    }

    /// The last that it said.
    pub fn said(&self) -> String {
        Vec::from(self.said.lock().unwrap().clone()).join("\n")
    }

    /// The server's own process first, then all that it started.
    pub fn processes(&self) -> Vec<u32> {
        family(self.child.id())
    }

    /// All at once, as a power cut would end them.
    pub fn kill9(&mut self) {
        // Stopped, the first one starts no others meanwhile.
        signal("STOP", &[self.child.id()]);
        signal("KILL", &self.processes());
        self.child.wait().unwrap();
        self.guard.dismiss();
    }

    /// Asks the first one to end, and waits until it has.
    #[track_caller]
    pub fn ends_on(&mut self, name: &str) {
        signal(name, &[self.child.id()]);
        // The output ends with the last process that holds it.
        let silent = loop {
            if let Err(silent) = self.lines.recv_timeout(PATIENCE) {
                break silent;
            }
        };
        assert_eq!(silent, RecvTimeoutError::Disconnected, "it does not end:\n{}", self.said());
        self.child.wait().unwrap();
        self.guard.dismiss();
    }

    /// Stops all of its processes where they are.
    pub fn freeze(&self) {
        signal("STOP", &[self.child.id()]);
        let mut frozen = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let all = self.processes();
            if all == frozen {
                return;
            }
            signal("STOP", &all);
            frozen = all;
        }
        panic!("its processes change faster than they can be stopped");
    }

    pub fn thaw(&self) {
        signal("CONT", &self.processes());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the database server said:\n{}", self.said());
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill9();
        }
    }
}

/// Ends what is left of a server when this process ends before it could do so itself.
struct Guard {
    shell: Child,
    held: Option<ChildStdin>,
}

impl Guard {
    /// What it runs: a line on the pipe dismisses it, the end of the pipe makes it act.
    const SCRIPT: &str = r#"read -r dismissed && exit
children=$(cat "/proc/$1/task/$1/children" 2>/dev/null)
kill -KILL "$1" $children 2>/dev/null
rm -rf "$2""#;

    fn over(process: u32, folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", Self::SCRIPT, "guard", &process.to_string()]).arg(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C is not for it.
        let mut shell = command.process_group(0).spawn().unwrap();
        let held = shell.stdin.take();
        Self { shell, held }
    }

    fn dismiss(&mut self) {
        let Some(mut held) = self.held.take() else { return };
        drop(held.write_all(b"dismissed\n"));
        drop(held);
        drop(self.shell.wait());
    }
}

fn pass_on(stderr: impl Read, lines: &Sender<String>, kept: &Mutex<VecDeque<String>>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let mut kept = kept.lock().unwrap();
        kept.push_back(line.clone());
        if kept.len() > SAID_MAX {
            kept.pop_front();
        }
        // Nobody listens once it has started.
        drop(lines.send(line));
    }
}

/// Sends a signal to those of these processes that are still there.
fn signal(name: &str, processes: &[u32]) {
    for process in processes {
        let kill = format!("kill -{name} {process}");
        Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status().unwrap();
    }
}

/// A process and its descendants, oldest first.
fn family(first: u32) -> Vec<u32> {
    let mut family = vec![first];
    let mut next = 0;
    while let Some(parent) = family.get(next) {
        let children = format!("/proc/{parent}/task/{parent}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        family.extend(children.split_whitespace().map(|child| child.parse::<u32>().unwrap()));
        next += 1;
    }
    family
}
