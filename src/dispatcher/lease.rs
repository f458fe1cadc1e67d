//! Until when others take this dispatcher for alive.
//!
//! A dispatcher writes with each beat for how long others must wait for the next one. That is `dead_after` while attempts are
//! open, and longer while none is, because then there is nothing that another could take over and beats may be rare.
//!
//! What a dispatcher believes of itself never outlasts what it has told: a beat that shortens the lease counts from before it is
//! sent, whether its answer arrives or not.

use std::time::Duration;

use tokio::sync::watch;

use crate::runners::boot_clock::BootInstant;

/// The lease of one dispatcher.
#[derive(Debug)]
pub struct Lease {
    told: watch::Sender<Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    /// When the database last heard from it.
    at: BootInstant,
    /// How long others wait from then on.
    length: Duration,
    /// Past this others may have taken over what has not been launched yet, so it must not be.
    until: BootInstant,
}

impl Lease {
    /// Of a dispatcher that has just registered.
    pub fn begin(length: Duration) -> Self {
        let at = BootInstant::now();
        Self { told: watch::Sender::new(Told { at, length, until: at.after(length) }) }
    }

    /// A beat with this lease is about to be sent.
    pub fn renewing(&self, sent_at: BootInstant, length: Duration) {
        self.told.send_modify(|told| told.until = told.until.min(sent_at.after(length)));
    }

    /// The beat has arrived.
    pub fn renewed(&self, sent_at: BootInstant, length: Duration) {
        self.told.send_replace(Told { at: sent_at, length, until: sent_at.after(length) });
    }

    /// For how long the database has not heard from this dispatcher, and how long others wait.
    pub fn silence(&self) -> (Duration, Duration) {
        let told = *self.told.borrow();
        (told.at.elapsed(), told.length)
    }

    /// Waits until the database has heard lately that this dispatcher lives; until when others take it for alive.
    pub async fn holds(&self) -> BootInstant {
        let mut told = self.told.subscribe();
        // The sender is ours: it cannot be gone.
        let held = told.wait_for(|told| BootInstant::now() < told.until).await;
        held.map_or_else(|_| BootInstant::now(), |told| told.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(45);
    const LONG: Duration = Duration::from_mins(3);

    #[test]
    fn a_shorter_lease_counts_from_before_it_is_told() {
        let lease = Lease::begin(LONG);
        let began = lease.told.borrow().at;
        lease.renewing(began, SHORT);
        assert_eq!(lease.told.borrow().until, began.after(SHORT));
        assert_eq!(lease.silence().1, LONG, "its answer has not come");
        lease.renewed(began, SHORT);
        assert_eq!(lease.silence().1, SHORT);
    }

    #[test]
    fn a_longer_lease_counts_only_once_it_is_told() {
        let lease = Lease::begin(SHORT);
        let began = lease.told.borrow().at;
        lease.renewing(began.after(SHORT / 2), LONG);
        assert_eq!(lease.told.borrow().until, began.after(SHORT));
        lease.renewed(began.after(SHORT / 2), LONG);
        assert_eq!(lease.told.borrow().until, began.after(SHORT / 2 + LONG));
    }
}
