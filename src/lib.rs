//! pitlane takes a sick Proxmox VE node off the track, gets it serviced, and puts it back.

pub mod adapters;
