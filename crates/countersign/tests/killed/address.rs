//! An address of this machine that belongs to this test process alone. Of a port that was free a moment ago
//! another test may have made its own server's meanwhile; on an address of its own nobody does.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process,
};

/// This process's address with a port. Every address under 127 is this machine's: this one is named after the
/// process, so that tests that run at once never ask each other's servers.
pub fn home(port: u16) -> SocketAddr {
    let address = Ipv4Addr::new(127, 0, 0, 0).to_bits() | (process::id() & 0x00ff_ffff);
    (Ipv4Addr::from_bits(address), port).into()
}

/// A port that is free there.
pub fn free_port() -> u16 {
    TcpListener::bind(home(0)).unwrap().local_addr().unwrap().port()
}
