//! Who is at the other end of the socket, as the kernel says, and whether he may come in.
//!
//! Let in without a token: root, the user that the daemon runs as, and members of the group `ulm`.
//! The socket's file mode says nearly the same; this says it again for the case that somebody changed
//! the mode, and it gives the name that goes into the ledger.

use std::path::Path;
use std::process::Command;

/// The group whose members may use the daemon.
pub const GROUP: &str = "ulm";

/// The two ends' users, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The caller's user.
    pub uid: u32,
    /// The caller's primary group.
    pub gid: u32,
}

/// Where users and groups are looked up.
pub trait Directory: Send + Sync + 'static {
    /// The name of a user.
    fn user(&self, uid: u32) -> Option<String>;
    /// The number and the members of a group.
    fn group(&self, name: &str) -> Option<Group>;
}

/// A group of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub gid: u32,
    /// Names of its members, but for those who have it as their primary group.
    pub members: Vec<String>,
}

/// The machine's own users and groups: its files first, then whatever else `getent` knows (LDAP and the like).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDirectory;

impl Directory for SystemDirectory {
    fn user(&self, uid: u32) -> Option<String> {
        look_up("/etc/passwd", "passwd", &uid.to_string(), 2).and_then(|line| line.into_iter().next())
    }

    fn group(&self, name: &str) -> Option<Group> {
        let line = look_up("/etc/group", "group", name, 0)?;
        let gid = line.get(2)?.parse().ok()?;
        let members = line.get(3).map_or("", String::as_str);
        let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
        Some(Group { gid, members })
    }
}

/// The fields of the line whose field number `field` is `key`.
fn look_up(file: impl AsRef<Path>, database: &str, key: &str, field: usize) -> Option<Vec<String>> {
    let find = |text: &str| {
        let mut lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
        lines.find(|line| line.get(field).is_some_and(|found| found == key))
    };
    let in_file = std::fs::read_to_string(file).ok().and_then(|text| find(&text));
    in_file.or_else(|| {
        let answer = Command::new("getent").arg(database).arg(key).output().ok()?;
        find(&String::from_utf8_lossy(&answer.stdout))
    })
}

/// Lets a caller in and tells his name, or says why not.
///
/// `own` is the user that the daemon runs as. A user without a name is called `uid N`.
pub fn admit(peer: Peer, own: u32, directory: &dyn Directory) -> Result<String, String> {
    let name = directory.user(peer.uid).unwrap_or_else(|| format!("uid {}", peer.uid));
    if peer.uid == 0 || peer.uid == own {
        return Ok(name);
    }
    match directory.group(GROUP) {
        Some(group) if group.gid == peer.gid || group.members.contains(&name) => Ok(name),
        Some(_) => Err(format!(
            "{name} may not use this daemon: only root, the user that it runs as and members of group `{GROUP}` may. \
             Let root run `usermod -aG {GROUP} {name}`, then log in again"
        )),
        None => Err(format!(
            "{name} may not use this daemon: only root and the user that it runs as may, because there is no group `{GROUP}`. \
             Let root run `groupadd --system {GROUP} && usermod -aG {GROUP} {name}`, start the daemon again, then log in again"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Village {
        group: Option<Group>,
    }

    impl Directory for Village {
        fn user(&self, uid: u32) -> Option<String> {
            match uid {
                0 => Some("root".into()),
                1000 => Some("anna".into()),
                1001 => Some("bert".into()),
                _ => None,
            }
        }
        fn group(&self, name: &str) -> Option<Group> {
            self.group.clone().filter(|_| name == GROUP)
        }
    }

    const DAEMON: u32 = 900;

    fn village() -> Village {
        Village { group: Some(Group { gid: 77, members: vec!["anna".into()] }) }
    }

    #[test]
    fn root_the_daemons_own_user_and_members_of_the_group_come_in_by_name() {
        assert_eq!(admit(Peer { uid: 0, gid: 0 }, DAEMON, &village()), Ok("root".into()));
        assert_eq!(admit(Peer { uid: DAEMON, gid: 5 }, DAEMON, &village()), Ok("uid 900".into()));
        assert_eq!(admit(Peer { uid: 1000, gid: 1000 }, DAEMON, &village()), Ok("anna".into()));
        assert_eq!(admit(Peer { uid: 1001, gid: 77 }, DAEMON, &village()), Ok("bert".into()), "primary group");
    }

    #[test]
    fn everybody_else_is_told_what_to_do() {
        let error = admit(Peer { uid: 1001, gid: 1001 }, DAEMON, &village()).unwrap_err();
        assert!(error.contains("usermod -aG ulm bert"), "{error}");
        let error = admit(Peer { uid: 1000, gid: 1000 }, DAEMON, &Village { group: None }).unwrap_err();
        assert!(error.contains("groupadd --system ulm"), "{error}");
    }

    #[test]
    fn the_machines_own_files_are_understood() {
        assert_eq!(SystemDirectory.user(0).as_deref(), Some("root"));
        assert_eq!(SystemDirectory.group("root").map(|group| group.gid), Some(0));
        assert_eq!(SystemDirectory.group("no-such-group-here"), None);
    }
}
