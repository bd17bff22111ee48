//! A TUN device: the kernel's packets as reads and writes.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{IntegerSetter, Opcode, Setter, ioctl, opcode};

// Numbers from linux/if_tun.h.
const TUNSETIFF: Opcode = opcode::write::<i32>(b'T', 202);
const TUNSETOFFLOAD: Opcode = opcode::write::<u32>(b'T', 208);
const IFF_TUN: u16 = 0x0001;
const IFF_TAP: u16 = 0x0002;
const IFF_NO_PI: u16 = 0x1000;
const IFF_VNET_HDR: u16 = 0x4000;
const TUN_F_CSUM: usize = 0x01;
const TUN_F_TSO4: usize = 0x02;

/// `struct ifreq` of netdevice(7), as far as TUNSETIFF reads it.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Makes the device `name` (at most 15 bytes) in the calling thread's network namespace.
///
/// Each read and write is one packet after a `virtio_net_hdr`. The kernel is told that we take TCP over IPv4 unsegmented:
/// packets of up to 64 KiB pass in one piece, which is what makes gigabits per second possible in user space.
pub(crate) fn open(name: &str) -> Result<OwnedFd> {
    let device = attach(name, IFF_TUN | IFF_NO_PI | IFF_VNET_HDR)?;
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    unsafe {
        ioctl(
            &device,
            IntegerSetter::<TUNSETOFFLOAD>::new_usize(TUN_F_CSUM | TUN_F_TSO4),
        )
    }
    .context("the TUN device takes no unsegmented TCP")?;
    Ok(device)
}

/// Opens the TAP device `name` of the calling thread's network namespace, or makes it: each read and write is one frame.
pub(crate) fn open_tap(name: &str) -> Result<OwnedFd> {
    attach(name, IFF_TAP | IFF_NO_PI)
}

fn attach(name: &str, kind: u16) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = rustix::fs::open("/dev/net/tun", flags, Mode::empty()).context("cannot open `/dev/net/tun`")?;
    let mut request = InterfaceRequest {
        name: [0; 16],
        flags: kind,
        rest: [0; 22],
    };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, 40 bytes on all 64-bit systems, as the type here has.
    unsafe { ioctl(&device, Setter::<TUNSETIFF, _>::new(request)) }
        .with_context(|| format!("cannot open device `{name}`"))?;
    Ok(device)
}
