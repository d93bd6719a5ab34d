//! The calls that need `unsafe`: what a child does between fork and exec, and a file descriptor that tells
//! when a process has ended.
#![allow(unsafe_code)] // no safe interface exists for them; everything unsafe of this crate is in this file

use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid, setsid};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Most files a function may hold open.
const MAX_OPEN_FILES: u64 = 1_024;

/// Makes the child of `command` its own session and process group, killed when the thread that spawned it
/// ends, without a way to gain privileges, without core dumps, with few files and none of ours.
pub(super) fn harden(command: &mut Command) {
    let parent = Pid::this();
    let prepare = move || -> io::Result<()> {
        setsid()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != parent {
            // The parent ended before the line above: nobody would kill this process any more.
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        prctl::set_no_new_privs()?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(
            Resource::RLIMIT_NOFILE,
            most.min(MAX_OPEN_FILES),
            most.min(MAX_OPEN_FILES),
        )?;
        close_on_exec_from(3);
        Ok(())
    };
    // SAFETY: the closure runs in the forked child of a program with many threads, so it may only make
    // async-signal-safe calls. It makes plain system calls on values captured by copy; it takes no lock and
    // does not allocate (errors are numbers).
    unsafe { command.pre_exec(prepare) };
}

/// Marks every descriptor from `first` to be closed by exec. The standard library opens its own that way;
/// this catches what libraries in C opened. Marked rather than closed: the pipe by which the standard library
/// reports a failed exec must live until then. A kernel without the call (before 5.11) goes without.
fn close_on_exec_from(first: libc::c_uint) {
    // SAFETY: a system call on numbers; no memory is passed.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

/// A descriptor that becomes readable when the process has ended, before it is reaped: until then its id
/// cannot be given to another process, so its group can be killed without a race.
pub(super) fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: a system call on numbers; no memory is passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = libc::c_int::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just made returned this new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets the async runtime wait for the descriptor. Must be called within it.
pub(super) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and the same descriptor until it is dropped, and it is moved in here.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}
