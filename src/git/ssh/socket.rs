//! The TCP connection below SSH, which ends when we want it to.
//!
//! russh serves a connection in a task of its own, which listens to nobody while keys are exchanged or the server takes no
//! more: a server that stalls there would keep the task and the socket, and each poll would add another.

use std::io;
use std::net::{self, Shutdown};

use tokio::net::{TcpStream, ToSocketAddrs};

/// Ends the connection when it is dropped, whoever holds the other half.
pub(super) struct HangUp(net::TcpStream);

impl Drop for HangUp {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

pub(super) async fn connect(address: impl ToSocketAddrs) -> io::Result<(TcpStream, HangUp)> {
    let stream = TcpStream::connect(address).await?.into_std()?;
    let hang_up = HangUp(stream.try_clone()?);
    Ok((TcpStream::from_std(stream)?, hang_up))
}
