//! Verifies requests with the library of Standard Webhooks, which is installed from PyPI into a virtual environment
//! under the target folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::receiver::Received;

const LIBRARY: &str = "standardwebhooks==1.1.0";

/// Says of each request whether its signature is good.
const VERIFY: &str = "
import base64, json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

def is_good(request):
    try:
        Webhook(request['secret']).verify(base64.b64decode(request['body']), request['headers'])
        return True
    except WebhookVerificationError:
        return False

print(json.dumps([is_good(request) for request in json.load(sys.stdin)]))
";

/// Returns for each request whether it is signed by `secret`.
pub fn verify(secret: &str, requests: &[Received]) -> Vec<bool> {
    let requests: Vec<Value> = requests
        .iter()
        .map(|request| {
            json!({"secret": secret, "body": STANDARD.encode(&request.body), "headers": request.headers})
        })
        .collect();
    let mut python = Command::new(installed())
        .args(["-c", VERIFY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let input = serde_json::to_vec(&requests).expect("JSON");
    python.stdin.take().expect("a pipe").write_all(&input).expect("Python reads");
    let output = python.wait_with_output().expect("Python ends");
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).expect("a list")
}

/// The path of a Python that has the library, which is installed on the first run.
fn installed() -> &'static PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("standardwebhooks");
        let python = venv.join("bin/python");
        let has_library = |python: &Path| {
            let tried =
                Command::new(python).args(["-c", "import standardwebhooks"]).stderr(Stdio::null()).status();
            tried.is_ok_and(|status| status.success())
        };
        if !has_library(&python) {
            let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status();
            assert!(made.expect("python3").success(), "apt-get install python3-venv");
            let pip = Command::new(venv.join("bin/pip")).args(["install", "--quiet", LIBRARY]).status();
            assert!(pip.expect("pip").success(), "a Python package index must be within reach");
        }
        python
    })
}
