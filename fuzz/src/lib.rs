//! What the fuzz targets share.

pub mod fence;
pub mod input;
pub mod outside;
pub mod temp;
