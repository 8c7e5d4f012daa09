//! What surrounds the steps of training: metrics, early stopping, checkpoints, progress and logs.

#![forbid(unsafe_code)]
