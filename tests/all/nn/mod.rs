//! Models: names, clones, initialisation, losses, training.

mod adam;
mod checks;
mod derive;
mod durability;
mod init;
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
