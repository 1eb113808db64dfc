//! A throw-away PostgreSQL for the tests of one process: the one that `WEIR_TEST_POSTGRES` names, else one that is started here and
//! ends with the process, however it ends.
//!
//! Without PostgreSQL on the machine the tests are skipped, loudly; with `CI` set they fail.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

static SERVER: OnceLock<Option<Server>> = OnceLock::new();

struct Server {
    url: String,
    /// Its standard input is what keeps it running.
    _child: Option<Child>,
}

/// The URL of the server's first database; `None`: there is no PostgreSQL here.
pub fn url() -> Option<&'static str> {
    let server = SERVER.get_or_init(|| match std::env::var("WEIR_TEST_POSTGRES") {
        Ok(url) if !url.is_empty() => Some(Server { url, _child: None }),
        _ => start(),
    });
    if server.is_none() {
        assert!(std::env::var_os("CI").is_none(), "PostgreSQL is needed for these tests: install the package postgresql");
        eprintln!("SKIPPED: PostgreSQL is not installed");
    }
    server.as_ref().map(|server| server.url.as_str())
}

fn start() -> Option<Server> {
    if !std::path::Path::new("/usr/lib/postgresql").exists() {
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres.sh");
    // The script ends the server when its command ends, and the command when this process is gone: its input is closed then.
    let mut child = Command::new(script)
        .args(["sh", "-c", "echo \"$WEIR_TEST_POSTGRES\"; cat >/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tests/postgres.sh starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("tests/postgres.sh writes");
    let url = line.trim().to_owned();
    assert!(url.starts_with("postgres://"), "tests/postgres.sh did not start PostgreSQL");
    Some(Server { url, _child: Some(child) })
}
