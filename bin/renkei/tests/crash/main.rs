//! Hubs and an agent as processes of their own, and what befalls them: they are killed, their database is set back, goes away or
//! fills up, their clocks differ, their connections go silent.
//!
//! `RENKEI_HUB_KILLS` says how often processes are killed for each database (15 unless said); the moments come from the seed that is
//! printed.

mod api;
mod at_rest;
mod console;
mod faults;
mod hostile;
mod kills;
mod reality;
mod set_back;
mod stand;
mod up;
mod work;
