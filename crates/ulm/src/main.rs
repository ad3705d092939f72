//! `ulm`, the command: a thin client of the daemon, the daemon itself, and the demonstration.
//!
//! [`cli`] holds the command line as types, [`exit`] the exit codes; each command has a module of its
//! own. What people read goes through [`print`](mod@print); what programs read is the API's own views as JSON.

mod capacity;
mod check;
mod cli;
mod demo;
mod exit;
mod export;
mod figures;
mod follow;
mod forecast;
mod gains;
mod history;
mod hosts;
mod import;
mod on;
mod path;
mod places;
mod plans;
mod policy;
mod print;
mod serve;
mod sharing;
mod status;
mod watch;
mod why;
mod why_not;

use std::process::ExitCode;

use clap::Parser;
use ulm_model::Acting;
use ulm_web::client::Client;

use crate::cli::{Cli, Command, Common};
use crate::exit::{Exit, Failure, Outcome};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.common.json;
    let done = match cli.command {
        Command::Demo(args) => demo::run(&cli.common, args),
        command => match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(run(&cli.common, command)),
            Err(error) => Err(Failure::new(Exit::Error, format!("the machine gives no threads: {error}"))),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(json),
    }
}

async fn run(common: &Common, command: Command) -> Outcome {
    let client = Client::new(places::socket(common.socket.clone()));
    match command {
        Command::Demo(_) => unreachable!("the demonstration has a runtime of its own"),
        Command::Serve(args) => serve::run(common, args).await,
        Command::Host(args) => hosts::run(common, &client, args).await,
        Command::Status(args) => status::run(common, &client, args).await,
        Command::Plan(args) => plans::show(common, &client, args).await,
        Command::Apply(args) => plans::apply(common, &client, args).await,
        Command::Path(args) => path::run(common, args).await,
        Command::Check(args) => check::run(common, &args),
        Command::Import(args) => import::run(common, &args),
        Command::Export(args) => export::run(common, &client, &args).await,
        Command::Enable => switch(common, &client, Acting::On).await,
        Command::Disable => switch(common, &client, Acting::Off).await,
        Command::Migrate(args) => plans::migrate(common, &client, args).await,
        Command::Abort(args) => plans::abort(common, &client, args).await,
        Command::History(args) => history::run(common, &client, args).await,
        Command::Forecast(args) => forecast::run(common, &client, args).await,
        Command::Why(args) => why::run(common, &client, args).await,
        Command::WhyNot(args) => why_not::run(common, &client, args).await,
        Command::Capacity(args) => capacity::run(common, &client, args).await,
        Command::Sharing(args) => sharing::run(common, &client, args).await,
        Command::BestHost(args) => capacity::best_host(common, &client, args).await,
        Command::Policy(args) => policy::run(common, &client, &args).await,
        Command::ExitCodes => {
            anstream::println!("{}", exit::ABOUT);
            Ok(())
        }
    }
}

async fn switch(common: &Common, client: &Client, acting: Acting) -> Outcome {
    client.set_acting(acting).await?;
    if common.json {
        return print::json(&serde_json::json!({ "acting": acting }));
    }
    anstream::println!(
        "{}",
        match acting {
            Acting::On => "Acting is on: ULM moves VMs when a host is overworked. `ulm disable` stops it.",
            Acting::Off =>
                "Acting is off: ULM watches and recommends. What had not begun is cancelled; moves that run go on (`ulm abort` ends them).",
        }
    );
    Ok(())
}
