//! What happens on a host, from libvirt's events and from the state of the connection.

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;
use ulm_libvirt::events::Lifecycle;
use ulm_libvirt::{Event, EventStream, Incoming};
use ulm_model::VmId;

use crate::driver::{DriverEvent, Link};

/// Both as one stream; it ends when the link is stopped.
pub(super) fn merged(events: EventStream, mut link: watch::Receiver<Link>) -> BoxStream<'static, DriverEvent> {
    link.mark_unchanged(); // what was is not an event
    let events = events.into_stream().filter_map(|incoming| std::future::ready(translated(incoming)));
    let link = stream::unfold(link, |mut link| async move {
        link.changed().await.ok()?;
        let state = link.borrow_and_update().clone();
        Some((DriverEvent::LinkChanged(state), link))
    });
    stream::select(events.boxed(), link.boxed()).boxed()
}

fn translated(incoming: Incoming) -> Option<DriverEvent> {
    match incoming {
        Incoming::Event(event) => {
            let vm = VmId(event.domain().uuid);
            Some(match event {
                Event::Lifecycle { change, .. } => changed(vm, change),
                Event::MigrationIteration { .. } | Event::JobCompleted { .. } => DriverEvent::VmChanged(vm),
            })
        }
        Incoming::Lagged(lost) => Some(DriverEvent::Missed(lost)),
        // Nobody can say how many there were while the connection was away.
        Incoming::Interrupted(_) => Some(DriverEvent::Missed(1)),
    }
}

fn changed(vm: VmId, change: Lifecycle) -> DriverEvent {
    use ulm_libvirt::events::Started;
    match change {
        // The receiving half of a move exists, but does not execute yet; `Resumed` follows when it does.
        Lifecycle::Started(Started::Migrated) => DriverEvent::VmChanged(vm),
        Lifecycle::Started(_) | Lifecycle::Resumed(_) => DriverEvent::VmRuns(vm),
        Lifecycle::Stopped(_) => DriverEvent::VmLeft(vm),
        // A shutdown of the *process* comes just before the end of every move: `Stopped` alone says that it is gone.
        _ => DriverEvent::VmChanged(vm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulm_libvirt::events::{Resumed, ShutDown, Started, Stopped, Suspended};

    #[test]
    fn the_events_of_a_move_are_not_taken_for_a_boot_or_a_shutdown() {
        let vm = VmId(uuid::Uuid::from_u128(1));
        for (change, event) in [
            (Lifecycle::Started(Started::Booted), DriverEvent::VmRuns(vm)),
            (Lifecycle::Started(Started::Migrated), DriverEvent::VmChanged(vm)),
            (Lifecycle::Suspended(Suspended::Migrated), DriverEvent::VmChanged(vm)),
            (Lifecycle::Resumed(Resumed::Migrated), DriverEvent::VmRuns(vm)),
            (Lifecycle::Shutdown(ShutDown::Host), DriverEvent::VmChanged(vm)),
            (Lifecycle::Stopped(Stopped::Migrated), DriverEvent::VmLeft(vm)),
        ] {
            assert_eq!(changed(vm, change), event, "{change}");
        }
    }
}
