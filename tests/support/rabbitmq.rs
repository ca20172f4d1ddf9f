//! A RabbitMQ for one test: a child process with its own name, ports and data, which can be killed, frozen,
//! starved of memory and restarted. It is removed when the test process ends in any way.
//!
//! Shared by test targets with `#[path]`.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The longest that a broker may take to start on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(90);

/// Waits until its input ends, which is when the test process ends; then kills the broker and removes its data.
const CLEAN_UP: &str = r#"
cat > /dev/null
for name in beam epmd; do kill -KILL "$(cat "$1/$name.pid" 2> /dev/null)" 2> /dev/null; done
rm -rf "$1"
"#;

/// A running broker.
pub(crate) struct RabbitMq {
    root: PathBuf,
    server: PathBuf,
    port: u16,
    tls_port: u16,
    epmd_port: u16,
    dist_port: u16,
    beam: Option<Child>,
    epmd: Child,
    guard: Child,
}

impl RabbitMq {
    /// Starts a broker without data, and waits until it accepts clients.
    pub(crate) fn start() -> Self {
        Self::configured(|_| String::new())
    }

    /// Starts a broker that accepts encrypted connections too, with the files `server.pem` and `server.key` of a folder.
    pub(crate) fn start_encrypted(folder: &Path) -> Self {
        Self::configured(|port| {
            let folder = folder.display();
            format!(
                "listeners.ssl.default = 127.0.0.1:{port}\nssl_options.certfile = {folder}/server.pem\n\
                 ssl_options.keyfile = {folder}/server.key\nssl_options.verify = verify_none\n"
            )
        })
    }

    /// Starts a broker with lines for its configuration, which are given a free port.
    fn configured(more: impl FnOnce(u16) -> String) -> Self {
        let server = find_server();
        let root = PathBuf::from(format!("/tmp/aristay-broker-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(&root).unwrap();
        let guard = Command::new("/bin/sh")
            .args(["-c", CLEAN_UP, "sh"])
            .arg(&root)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let (port, tls_port) = (free_port(), free_port());
        let (epmd_port, dist_port) = (free_port(), free_port());
        let configuration = format!("listeners.tcp.default = 127.0.0.1:{port}\n{}", more(tls_port));
        fs::write(root.join("rabbitmq.conf"), configuration).unwrap();
        fs::write(root.join("plugins"), "[].\n").unwrap();
        // In the foreground and as a child: one that the broker starts would outlive the tests.
        let epmd = Command::new("epmd")
            .args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("epmd, which comes with Erlang: apt-get install rabbitmq-server");
        fs::write(root.join("epmd.pid"), epmd.id().to_string()).unwrap();
        let mut broker = Self { root, server, port, tls_port, epmd_port, dist_port, beam: None, epmd, guard };
        broker.restart();
        broker
    }

    /// Returns the URL that clients connect to.
    pub(crate) fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// Returns the URL with another port, such as a proxy's.
    pub(crate) fn url_at(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
    }

    /// Returns the URL for encrypted connections.
    pub(crate) fn encrypted_url(&self) -> String {
        format!("amqps://guest:guest@localhost:{}/%2f", self.tls_port)
    }

    /// Returns the port that the broker listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Restarts the broker with its data, after [`RabbitMq::kill`].
    pub(crate) fn restart(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.root.join("log")).unwrap();
        let beam = self
            .environment(&mut Command::new(&self.server))
            // Makes the script `exec` the server instead of waiting for it.
            .env("RUNNING_UNDER_SYSTEMD", "1")
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        fs::write(self.root.join("beam.pid"), beam.id().to_string()).unwrap();
        self.beam = Some(beam);
        let until = Instant::now() + START_TIMEOUT;
        while !self.answers_handshake() {
            assert!(Instant::now() < until, "RabbitMQ doesn't start:\n{}", self.log_end());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills the broker; the connections of clients break.
    pub(crate) fn kill(&mut self) {
        if let Some(mut beam) = self.beam.take() {
            beam.kill().unwrap();
            beam.wait().unwrap();
        }
    }

    /// Suspends the broker; connections stay open and get no answer.
    pub(crate) fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// Resumes a frozen broker.
    pub(crate) fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Raises the broker's memory alarm, so that it accepts no messages, or clears it.
    pub(crate) fn set_memory_alarm(&self, on: bool) {
        self.ctl(&["set_vm_memory_high_watermark", if on { "0.0000001" } else { "0.6" }]);
    }

    /// Runs `rabbitmqctl` against it.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        let output = self
            .environment(&mut Command::new(self.server.with_file_name("rabbitmqctl")))
            .args(["--quiet", "--node", &self.node_name()])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn node_name(&self) -> String {
        format!("chat{}@localhost", self.port)
    }

    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", path)
            .env("LANG", "C.UTF-8")
            .env("HOME", &self.root)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("RABBITMQ_NODENAME", self.node_name())
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", self.root.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", &self.root)
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_CONFIG_FILE", self.root.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.root.join("plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            // Without busy waiting, which would take the processor from the tests.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none")
    }

    /// Whether the broker answers the AMQP handshake.
    fn answers_handshake(&self) -> bool {
        use std::io::Read;
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else { return false };
        let _no_limit = stream.set_read_timeout(Some(Duration::from_secs(2)));
        stream.write_all(b"AMQP\0\0\x09\x01").is_ok() && stream.read(&mut [0; 8]).is_ok_and(|n| n > 0)
    }

    fn signal(&self, signal: i32) {
        let pid = self.beam.as_ref().expect("a broker that runs").id();
        let status = Command::new("/bin/kill").args([&format!("-{signal}"), &pid.to_string()]).status();
        assert!(status.unwrap().success());
    }

    fn log_end(&self) -> String {
        let log = fs::read_to_string(self.root.join("log")).unwrap_or_default();
        log.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        if let Some(beam) = &mut self.beam {
            let _gone = beam.kill();
            let _reaped = beam.wait();
        }
        let _gone = self.epmd.kill();
        let _reaped = self.epmd.wait();
        drop(self.guard.stdin.take());
        let _reaped = self.guard.wait();
    }
}

/// Finds the script of the server itself; Debian's wrapper would change to another account.
fn find_server() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/rabbitmq/lib").into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("sbin/rabbitmq-server"))
        .chain([PathBuf::from("/opt/rabbitmq/sbin/rabbitmq-server")])
        .find(|server| Path::new(server).exists())
        .expect("RabbitMQ: apt-get install rabbitmq-server")
}

/// Finds a free port below the ephemeral range. From within it, a client that keeps connecting to a stopped
/// server can be given that server's port as its own.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 1_000).unwrap() * 10;
    (0..10_000)
        .map(|_| 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}
