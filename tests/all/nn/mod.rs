//! Models: names, clones, initialisation, losses, training.

mod adam;
mod averaging;
mod checks;
mod copying;
mod derive;
mod durability;
mod freezing;
mod init;
mod inspection;
mod layers;
mod losses;
mod models;
mod modes;
mod optimizers;
mod resuming;
mod saving;
mod schedules;
mod sgd;
mod state;
mod threads;
mod tied;
