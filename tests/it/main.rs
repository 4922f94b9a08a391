//! The whole program against two AWS accounts on loopback: every test runs the real binary, pointed there by
//! its environment alone, and looks at what it left in the bucket, the queues and the tables.

mod awkward;
mod bad_input;
mod commands;
#[path = "../../examples/quickstart/compare.rs"]
mod compare;
mod dispositions;
mod doctor;
mod drift;
mod duplicates;
mod evidence;
mod format;
mod guards;
mod hand_over;
mod harness;
mod inventory;
mod metrics;
mod nights;
mod pace;
mod pipeline;
mod restore;
mod settings;
mod settings_capture;
mod shutdown;
mod turn;
mod verify;
