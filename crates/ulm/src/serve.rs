//! `ulm serve`: the daemon.

use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use ulm_control::connect::LibvirtConnector;
use ulm_control::{Config, Connector, Daemon, Handle, Keep, PolicyFile};
use ulm_drivers::sim::{Scenario, SimCluster};
use ulm_drivers::{Clock, SystemClock};
use ulm_model::HostName;
use ulm_policy::Policy;
use ulm_web::socket::Socket;

use crate::cli::{Common, Serve};
use crate::exit::{Exit, Failure, Outcome};
use crate::places;
use ulm_control::simulated;

/// Runs until SIGINT or SIGTERM.
pub async fn run(common: &Common, args: Serve) -> Outcome {
    log_to_stderr();
    let policy = policy(args.policy.as_deref())?;
    let hang_ups = signal(SignalKind::hangup()).map_err(no_signals)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (connector, simulated_hosts) = connector(&args, policy.policy(), clock.clone())?;
    // The socket first: whoever finds another daemon there must not touch that daemon's books.
    let socket_path = places::socket(common.socket.clone());
    let socket = Socket::bind(&socket_path).map_err(cannot_start)?;
    let state = places::state(args.state);
    std::fs::create_dir_all(&state).map_err(|error| {
        cannot_start(format!("the folder {} cannot be made: {error}. Give another one with --state", state.display()))
    })?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let config = Config { keep: Keep::Folder(state.clone()), policy, connector, clock, version };
    let (handle, daemon) = Daemon::start(config).map_err(cannot_start)?;
    let stop = stop_on_signals()?;
    let mut daemon = tokio::spawn(daemon.run(stop.clone()));
    // What it remembers is known with its first publication.
    let mut handle = handle;
    handle.changed().await;
    add_simulated_hosts(&handle, &simulated_hosts).await?;
    tokio::spawn(reload_on(hang_ups, handle.clone()));
    tracing::info!(state = %state.display(), socket = %socket_path.display(), acting = ?handle.status().acting, "ulm serves");
    let served = tokio::select! {
        served = ulm_web::serve_unix(socket, ulm_web::router(handle), stop.clone()) => served,
        // The daemon ended without being told to: a fault of ours, and nothing that serves on should hide it.
        ended = &mut daemon => return match ended {
            Ok(()) => Ok(()),
            Err(error) => Err(Failure::new(Exit::Error, format!("the daemon failed: {error}. Moves that run go on; start it again"))),
        },
    };
    stop.cancel();
    let ended = daemon.await;
    served.map_err(|error| Failure::new(Exit::Error, format!("the socket cannot be served any more: {error}")))?;
    ended.map_err(|error| Failure::new(Exit::Error, format!("the daemon failed: {error}")))?;
    tracing::info!("ulm stopped; moves that run go on by themselves");
    Ok(())
}

fn cannot_start(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Error, error.to_string())
}

fn no_signals(error: std::io::Error) -> Failure {
    cannot_start(format!("signals cannot be received: {error}"))
}

fn log_to_stderr() {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_from_env("ULM_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    // Only the first subscriber counts; a second one is a test's.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).try_init();
}

/// The policy from the file that was given, or from the usual place, or the default one until there is a file.
fn policy(given: Option<&Path>) -> Outcome<PolicyFile> {
    let read = match given {
        Some(file) => PolicyFile::load(file),
        None => PolicyFile::load_if_there(&places::policy()),
    };
    read.map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

/// Reads the policy again at each SIGHUP, as `systemctl reload` sends it. What comes of it is in log, status and ledger.
async fn reload_on(mut hang_ups: Signal, handle: Handle) {
    while hang_ups.recv().await.is_some() {
        if let Err(error) = handle.reload_policy("SIGHUP").await {
            tracing::warn!(%error, "SIGHUP");
        }
    }
}

/// Who makes drivers, and the hosts that are simulated.
fn connector(args: &Serve, policy: &Policy, clock: Arc<dyn Clock>) -> Outcome<(Arc<dyn Connector>, Vec<HostName>)> {
    let Some(file) = &args.simulate else {
        return Ok((Arc::new(LibvirtConnector::new(clock, policy.everywhere.clone())), Vec::new()));
    };
    let unusable = |error| Failure::new(Exit::Usage, format!("the scenario cannot be used: {error}"));
    let scenario = Scenario::read(file).map_err(unusable)?;
    let cluster = SimCluster::new(&scenario, clock).map_err(unusable)?;
    let hosts = cluster.world().host_names();
    Ok((Arc::new(simulated::SimConnector(cluster)), hosts))
}

/// On the first start with a scenario its hosts are taken under care; later the user's choice stands.
async fn add_simulated_hosts(handle: &Handle, hosts: &[HostName]) -> Outcome {
    if !handle.status().hosts.is_empty() {
        return Ok(());
    }
    for host in hosts {
        handle.add_host(&simulated::uri_of(host), Some(&host.0), "--simulate").await?;
    }
    Ok(())
}

fn stop_on_signals() -> Outcome<CancellationToken> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind).map_err(no_signals)?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    Ok(stop)
}
