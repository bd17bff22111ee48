//! The name service and DHCP of a segment, as a machine that reads no seed uses them.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use renkei_testkit::{Namespace, process, wait};
use renkei_types::network::Mac;

use super::host::{MAC, Site};
use super::on_a_host;

/// DHCP (RFC 2131, section 2): asks for an address, and the answer is to be sent to all.
fn discover(mac: Mac, transaction: u32) -> Vec<u8> {
    let mut packet = vec![1, 1, 6, 0];
    packet.extend(transaction.to_be_bytes());
    packet.extend([0, 0, 0x80, 0]);
    packet.extend([0; 16]);
    packet.extend(mac.0);
    packet.resize(236, 0);
    packet.extend([0x63, 0x82, 0x53, 0x63]);
    // A discovery, that wants mask, router, name server, MTU and time server.
    packet.extend([53, 1, 1, 55, 5, 1, 3, 6, 26, 42, 255]);
    packet
}

/// What is offered: for which transaction, the address, and an option's bytes.
struct Offer(Vec<u8>);

impl Offer {
    fn transaction(&self) -> u32 {
        u32::from_be_bytes(self.0[4..8].try_into().unwrap())
    }

    fn address(&self) -> Ipv4Addr {
        let bytes: [u8; 4] = self.0[16..20].try_into().unwrap();
        bytes.into()
    }

    fn option(&self, wanted: u8) -> Option<&[u8]> {
        let mut rest = &self.0[240..];
        while let [code, length, after @ ..] = rest {
            let (value, after) = after.split_at(usize::from(*length));
            if *code == wanted {
                return Some(value);
            }
            rest = after;
        }
        None
    }
}

/// A socket of a machine without an address.
fn without_address(guest: &Namespace) -> UdpSocket {
    guest
        .ip(&["address", "flush", "dev", "eth0", "scope", "global"])
        .unwrap();
    guest.ip(&["route", "add", "255.255.255.255", "dev", "eth0"]).unwrap();
    let any = SocketAddr::from(([0, 0, 0, 0], 68));
    let socket = guest.inside(move || Ok(UdpSocket::bind(any)?)).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    socket
}

fn ask(socket: &UdpSocket, mac: Mac, transaction: u32) {
    let servers = SocketAddr::from(([255, 255, 255, 255], 67));
    socket.send_to(&discover(mac, transaction), servers).unwrap();
}

fn offer(socket: &UdpSocket) -> Offer {
    let mut buffer = vec![0; 2048];
    let length = socket.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    Offer(buffer)
}

/// The process ids of the services that there are.
fn services(site: &Site) -> Vec<u32> {
    let files = std::fs::read_dir(site.folder.path()).unwrap().flatten();
    let files = files.filter(|file| file.path().extension().is_some_and(|of| of == "pid"));
    let id = |file: std::fs::DirEntry| std::fs::read_to_string(file.path()).ok()?.trim().parse().ok();
    files.filter_map(id).collect()
}

#[test]
fn a_machine_is_told_what_was_issued_to_it_and_others_are_told_nothing() {
    on_a_host(|host| {
        // The machine was plugged in after the segment was told.
        let site = Site::new(host);
        let socket = without_address(&site.guest.space);
        // It answers one after the other: had it an answer for a stranger, that would come first.
        ask(&socket, Mac([0x52, 0x54, 0, 9, 9, 9]), 1);
        ask(&socket, MAC, 2);
        let offer = offer(&socket);
        assert_eq!(offer.transaction(), 2);
        assert_eq!(offer.address(), Ipv4Addr::new(10, 15, 0, 11));
        let told = [1, 3, 6, 26, 42].map(|option| offer.option(option).unwrap().to_vec());
        let gateway = vec![10, 15, 0, 1];
        let mtu = 1450_u16.to_be_bytes().to_vec();
        assert_eq!(
            told,
            [
                vec![255, 255, 255, 0],
                gateway.clone(),
                gateway,
                mtu,
                vec![203, 0, 113, 1]
            ]
        );
    });
}

#[test]
fn names_are_asked_of_the_sites_servers_and_routers_announced() {
    on_a_host(|host| {
        let site = Site::new(host);
        let server = SocketAddr::from(([203, 0, 113, 1], 53));
        let server = site.campus.inside(move || Ok(UdpSocket::bind(server)?)).unwrap();
        let mine = SocketAddr::from(([10, 15, 0, 11], 0));
        let socket = site.guest.space.inside(move || Ok(UdpSocket::bind(mine)?)).unwrap();
        // A question for the A record of `renkei.example` (RFC 1035, section 4.1).
        let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 6];
        question.extend(b"renkei\x07example\0\0\x01\0\x01");
        let resolver = SocketAddr::from(([10, 15, 0, 1], 53));
        for socket in [&server, &socket] {
            socket.set_read_timeout(Some(wait::PATIENCE)).unwrap();
        }
        socket.send_to(&question, resolver).unwrap();
        let mut buffer = [0; 512];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        let mut answer = buffer[..length].to_vec();
        answer[2] |= 0x80;
        answer[7] = 1;
        // Further records of the question come after the answer; without them there are none.
        answer.truncate(question.len());
        answer[11] = 0;
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 77]);
        server.send_to(&answer, from).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..2], [0x12, 0x34]);
        assert_eq!(buffer[length - 4..length], [192, 0, 2, 77]);
        wait::until("the router's announcement", || {
            let routes = site
                .guest
                .space
                .command("ip")
                .args(["-6", "route", "show", "proto", "ra"])
                .output();
            String::from_utf8(routes.unwrap().stdout)
                .unwrap()
                .contains("default via fe80::")
        })
        .unwrap();
    });
}

#[test]
fn a_service_that_ended_comes_back_and_one_for_no_segment_ends() {
    on_a_host(|host| {
        let mut site = Site::new(host);
        site.network.segments(&site.meant);
        let [first] = services(&site)[..] else { panic!() };
        site.network.segments(&site.meant);
        assert_eq!(services(&site), [first], "nothing has changed");
        process::signal(first, rustix::process::Signal::KILL);
        wait::until("it to be gone", || !process::is_alive(first)).unwrap();
        site.network.segments(&site.meant);
        let [second] = services(&site)[..] else { panic!() };
        assert!(process::is_alive(second) && second != first);
        // Its link is another one.
        site.gateway.ip(&["link", "del", "s000000000011"]).unwrap();
        site.network.segments(&site.meant);
        let [third] = services(&site)[..] else { panic!() };
        assert!(process::is_alive(third) && third != second);
        site.network.segments(&site.meant);
        let socket = without_address(&site.guest.space);
        ask(&socket, MAC, 3);
        assert_eq!(offer(&socket).transaction(), 3);
        site.network
            .unplug(renkei_types::id::VmId(uuid::Uuid::from_u128(1)))
            .unwrap();
        let segment = site.meant.values_mut().next().unwrap();
        segment.tombstone = true;
        segment.generation = segment.generation.next();
        assert_eq!(
            site.network.segments(&site.meant).len(),
            1,
            "{:?}",
            site.network.troubles()
        );
        assert!(!process::is_alive(third));
        assert_eq!(services(&site), Vec::<u32>::new());
    });
}
