//! The anchor: one file over TLS from nginx with `curl`, `sha256sum` of what came, and `sync` of it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

/// How long nginx gets to listen.
const UP: Duration = Duration::from_secs(10);

/// A running nginx that serves one directory.
#[derive(Debug)]
pub(crate) struct Nginx {
    _server: Child,
    url: String,
}

impl Nginx {
    /// Starts it; says what is missing and how to have it where a program is not installed.
    pub(crate) async fn start(dir: &Path, file: &Path) -> Result<Self, String> {
        for (program, package) in [("nginx", "nginx-light"), ("curl", "curl"), ("openssl", "openssl")] {
            if which(program).is_none() {
                return Err(format!("{program} is missing: apt-get install {package}"));
            }
        }
        let (root, name) = (file.parent().expect("a file is somewhere"), file.file_name().expect("a file has a name"));
        let port = free_port();
        certify(dir).await?;
        let config = dir.join("nginx.conf");
        fs::write(&config, configuration(dir, root, port)).map_err(|error| error.to_string())?;
        let server = Command::new(which("nginx").expect("just found"))
            .arg("-p")
            .arg(dir)
            .arg("-c")
            .arg(&config)
            // Before its configuration is read, nginx writes to the log that it was built with.
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("nginx does not start: {error}"))?;
        let nginx = Self { _server: server, url: format!("https://127.0.0.1:{port}/{}", name.to_string_lossy()) };
        let began = Instant::now();
        while !run(Command::new("curl").args(["-sfkI", "-o", "/dev/null", &nginx.url])).await {
            if began.elapsed() > UP {
                return Err("nginx does not answer".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(nginx)
    }

    /// Downloads and hashes, then writes it out to the disk; says how long it took up to the end of each.
    pub(crate) async fn fetch(&self, target: &Path) -> [Duration; 3] {
        let began = Instant::now();
        assert!(run(Command::new("curl").args(["-sfk", "-o"]).arg(target).arg(&self.url)).await, "curl failed");
        let came = began.elapsed();
        assert!(run(Command::new("sha256sum").arg(target)).await, "sha256sum failed");
        let proven = began.elapsed();
        assert!(run(Command::new("sync").arg(target)).await, "sync failed");
        [came, proven, began.elapsed()]
    }
}

/// Where a program is: on the path, or where system programs are.
fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    places.map(|place| Path::new(place).join(program)).find(|file| file.is_file())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

async fn certify(dir: &Path) -> Result<(), String> {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    command.args(["-days", "1", "-subj", "/CN=localhost", "-keyout"]).arg(dir.join("key.pem"));
    command.arg("-out").arg(dir.join("cert.pem")).stderr(Stdio::null());
    if run(&mut command).await { Ok(()) } else { Err("openssl makes no certificate".to_owned()) }
}

fn configuration(dir: &Path, root: &Path, port: u16) -> String {
    let (dir, root) = (dir.display(), root.display());
    // Two workers and no copy of the file in memory: as a good server would be set up.
    format!(
        "daemon off; worker_processes 2; pid {dir}/nginx.pid; error_log stderr error;
        events {{ worker_connections 64; }}
        http {{
            access_log off; sendfile on; tcp_nopush on;
            client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
            uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
                root {root};
            }}
        }}
        "
    )
}

async fn run(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).status().await.is_ok_and(|status| status.success())
}
