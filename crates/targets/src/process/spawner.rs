//! The one thread that starts processes, and the hold on a started process.
//!
//! The kernel sends a child its parent-death signal when the **thread** that forked it ends. A thread of the
//! async runtime's pool may end at any time, so all children are forked here, by a thread that ends only
//! when nothing that could start or own a process is left.

use super::sys;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Starts that may wait for the thread; further callers wait to hand theirs in.
const QUEUE: usize = 64;

struct Job {
    command: Command,
    reply: oneshot::Sender<io::Result<Group>>,
}

/// A handle of the thread that starts processes; it ends when all handles are gone.
#[derive(Clone)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// If there cannot be another thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new()
            .name("millstream-spawn".to_owned())
            .spawn(move || {
                while let Some(Job { mut command, reply }) = queue.blocking_recv() {
                    if !reply.is_closed() {
                        // If the caller has gone meanwhile, dropping the group kills it.
                        let _ = reply.send(Group::spawn(&mut command));
                    }
                }
            })?;
        Ok(Self { jobs })
    }

    /// Starts a process in a session and group of its own.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<Group> {
        let (reply, started) = oneshot::channel();
        let ended = || io::Error::other("the thread that starts processes has ended");
        self.jobs
            .send(Job { command, reply })
            .await
            .map_err(|_| ended())?;
        started.await.map_err(|_| ended())?
    }
}

/// A started process with all that it starts. Dropped, it is killed and reaped.
pub(super) struct Group {
    leader: Child,
    pid: Pid,
    /// Taken when first waited for: registering it needs the async runtime.
    fd: Option<OwnedFd>,
    ended: Option<AsyncFd<OwnedFd>>,
    reaped: bool,
}

impl Group {
    fn spawn(command: &mut Command) -> io::Result<Self> {
        sys::harden(command);
        let leader = command.spawn()?;
        let id = i32::try_from(leader.id()).map_err(io::Error::other)?;
        let mut group = Self {
            leader,
            pid: Pid::from_raw(id),
            fd: None,
            ended: None,
            reaped: false,
        };
        group.fd = Some(sys::pidfd(group.pid)?);
        Ok(group)
    }

    pub(super) fn pid(&self) -> u32 {
        self.leader.id()
    }

    /// Its output, once.
    pub(super) fn take_output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.leader.stdout.take(), self.leader.stderr.take())
    }

    /// Resolves when the first process of the group has ended; it is not reaped yet. Cancel-safe.
    pub(super) async fn ended(&mut self) -> io::Result<()> {
        if let Some(fd) = self.fd.take() {
            self.ended = Some(sys::watch(fd)?);
        }
        match &self.ended {
            Some(fd) => fd.readable().await.map(|_guard| ()),
            None => Err(io::Error::other("the process cannot be watched")),
        }
    }

    /// Ends the whole group and reaps it: at once, or asking first and waiting for at most `grace`.
    pub(super) async fn stop(&mut self, grace: Option<Duration>) -> io::Result<ExitStatus> {
        if let Some(grace) = grace {
            self.signal(Signal::SIGTERM);
            let _ = timeout(grace, self.ended()).await;
        }
        self.signal(Signal::SIGKILL);
        self.ended().await?;
        let status = self.leader.wait()?;
        self.reaped = true;
        Ok(status)
    }

    fn signal(&self, signal: Signal) {
        // Not reaped, so the id still means this group and no other.
        match killpg(self.pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => {
                tracing::warn!(pid = %self.pid, %signal, %errno, "cannot signal a function's group")
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::SIGKILL);
            // Returns at once: the process has just been killed.
            let _ = self.leader.wait();
        }
    }
}
