//! The daemon's API: HTTP and JSON, served over a Unix socket.
//!
//! One definition of paths and bodies ([`api`]) serves both sides: [`routes::router`] on the daemon's,
//! [`client::Client`] on the command's. Answers are the views of [`ulm_control::view`], as they are.
//!
//! ```no_run
//! # async fn example(handle: ulm_control::Handle) -> Result<(), Box<dyn std::error::Error>> {
//! use tokio_util::sync::CancellationToken;
//!
//! let socket = ulm_web::socket::Socket::bind("/run/ulm/ulm.sock".as_ref())?;
//! ulm_web::serve_unix(socket, ulm_web::router(handle), CancellationToken::new()).await?;
//!
//! let status = ulm_web::client::Client::new("/run/ulm/ulm.sock").status().await?;
//! # Ok(()) }
//! ```
//!
//! Architecture invariant: this room decides nothing and keeps nothing. It translates between HTTP and
//! the daemon's [`Handle`](ulm_control::Handle), and says who is at the door ([`peer`]).

pub mod api;
pub mod client;
pub mod error;
pub mod peer;
pub mod routes;
pub mod socket;

pub use routes::router;
pub use socket::serve_unix;
