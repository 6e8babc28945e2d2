//! Bounds of what is remembered of a file.

/// Series of which the last point is remembered, at most; the points of further ones are left out.
pub const MAX_SERIES: usize = 200_000;

/// Rows, at most; the points of further ones are left out.
pub const MAX_ROWS: usize = 10_000;

/// Buckets of histograms that are remembered, of series, of rows and of their slots, some 50 bytes each:
/// 500 MB. Where there are more, further points of histograms are left out.
pub const MAX_BUCKETS: usize = 10_000_000;

/// Buckets of one point; one with more is left out.
pub const MAX_POINT_BUCKETS: usize = 10_000;
