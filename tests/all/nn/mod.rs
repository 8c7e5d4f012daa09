//! Models: names, clones, initialisation, losses, training.

mod adam;
mod averaging;
mod checks;
mod copying;
mod derive;
mod freezing;
mod init;
mod layers;
mod losses;
mod models;
mod modes;
mod optimizers;
mod saving;
mod schedules;
mod sgd;
mod state;
mod threads;
mod tied;
