//! The engine under what happens to machines: crashes, shutdowns, full disks, locked files, crowds.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod actor_death;
mod clock;
mod crash;
mod crash_points;
mod diary;
mod flash_sale;
mod full_disk;
mod locked;
mod restart;
mod shutdown;
