//! Process hardening: no core dumps, no ptrace, private files; and the open file limit.

use std::io;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask};

/// Protects the process's memory and files from other users of this machine.
pub(super) fn harden() -> io::Result<()> {
    // Secret keys, seeds and codes are in memory; a core dump would put them on disk.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // Other processes of the same user must not read that memory either.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    umask(Mode::RWXG | Mode::RWXO);
    Ok(())
}

/// Lets the process open as many files as its hard limit says; most systems set the soft one to 1024.
pub(super) fn raise_open_files() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    use rustix::process::dumpable_behavior;

    #[test]
    fn the_process_may_open_as_many_files_as_its_hard_limit_says() {
        raise_open_files().expect("allowed to everybody");
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }

    #[test]
    fn a_hardened_process_leaves_no_core_and_lets_nobody_look() {
        harden().expect("Linux");
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior().expect("Linux"), DumpableBehavior::NotDumpable);
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "").expect("written");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).expect("there").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
