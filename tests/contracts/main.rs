//! Our side of what others speak, held against what they really said.

mod alarms;
mod served;
mod stores;
mod webhook;
