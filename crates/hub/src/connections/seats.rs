//! How many connections there are at once, and from where: whoever takes all that they can get leaves half of them to others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The address from which connections come; for IPv6 the first 64 bits, since whoever has one address of such a network has all.
type Origin = IpAddr;

/// All of them. Clones are the same.
#[derive(Clone)]
pub struct Seats(Arc<Inner>);

struct Inner {
    free: Arc<Semaphore>,
    /// How many one origin may have.
    each: u32,
    taken: Mutex<HashMap<Origin, u32>>,
}

/// A free one, for whoever comes next.
pub struct Free(OwnedSemaphorePermit);

/// One that is taken until this is dropped.
pub struct Seat {
    seats: Seats,
    origin: Origin,
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    pub fn new(all: NonZeroU32) -> Self {
        // A permit more than the semaphore can count would be a fault of the caller.
        let permits = (all.get() as usize).min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            free: Arc::new(Semaphore::new(permits)),
            each: all.get().div_ceil(2),
            taken: Mutex::default(),
        }))
    }

    /// Waits for a free one.
    pub async fn free(&self) -> Free {
        let permit = self.0.free.clone().acquire_owned().await;
        Free(permit.unwrap_or_else(|_| unreachable!("nobody closes the semaphore")))
    }

    /// Takes it for a connection from `address`, unless there are too many from there.
    pub fn take(&self, Free(permit): Free, address: IpAddr) -> Option<Seat> {
        let origin = origin(address);
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(origin).or_default();
        if *count >= self.0.each {
            return None;
        }
        *count += 1;
        drop(taken);
        let seats = self.clone();
        Some(Seat {
            seats,
            origin,
            _permit: permit,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = taken.entry(self.origin) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

fn origin(address: IpAddr) -> Origin {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(all: u32) -> Seats {
        Seats::new(NonZeroU32::new(all).unwrap())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn one_address_gets_half_and_gives_it_back() {
        let seats = seats(5);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(seats.take(seats.free().await, ip("192.0.2.1")).unwrap());
        }
        assert!(seats.take(seats.free().await, ip("192.0.2.1")).is_none());
        // What was refused took nothing.
        let other = seats.take(seats.free().await, ip("192.0.2.2")).unwrap();
        held.pop();
        assert!(seats.take(seats.free().await, ip("192.0.2.1")).is_some());
        drop((held, other));
        assert!(seats.0.taken.lock().unwrap().is_empty());
        assert_eq!(seats.0.free.available_permits(), 5);
    }

    #[test]
    fn addresses_of_one_network_are_one_origin() {
        assert_eq!(origin(ip("2001:db8:1:2:3::4")), origin(ip("2001:db8:1:2:ffff::")));
        assert_ne!(origin(ip("2001:db8:1:2::1")), origin(ip("2001:db8:1:3::1")));
        assert_eq!(origin(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }
}
