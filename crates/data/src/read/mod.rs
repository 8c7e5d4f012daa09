//! Readers of files, whose errors name the file, the line and the column.
