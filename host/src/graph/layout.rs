//! Where the nodes of a graph lie: in layers from left to right, so that calls go
//! to the right (Sugiyama's method). The same graph gives the same picture.

/// Sweeps that bring neighbours closer: more change little.
const SWEEPS: usize = 12;

/// Places that long edges may take in the layers between; beyond, they are drawn straight.
const BENDS_AT_MOST: usize = 50_000;

/// A graph without anything to read.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The height of each node, and what is free below it.
    pub heights: Vec<f64>,
    /// From one node to another, no two alike.
    pub edges: Vec<(usize, usize)>,
    /// The height that a passing edge takes.
    pub bend: f64,
}

/// The layers, and the middle of each place.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Of each node.
    pub layers: Vec<usize>,
    /// Of each node, the vertical middle.
    pub middles: Vec<f64>,
    /// Of each edge, the vertical middles where it passes layers, in its direction.
    pub bends: Vec<Vec<f64>>,
    /// Of each edge, whether it goes back to the left.
    pub reversed: Vec<bool>,
    pub height: f64,
}

/// Lays a graph out. Time and memory grow with nodes, edges and bends.
pub fn layout(wanted: &Wanted) -> Layout {
    let nodes = wanted.heights.len();
    let reversed = backwards(nodes, &wanted.edges);
    let forward: Vec<_> = wanted
        .edges
        .iter()
        .zip(&reversed)
        .map(|((from, to), reversed)| if *reversed { (*to, *from) } else { (*from, *to) })
        .collect();
    let mut layers = layers(nodes, &forward);
    let (ways, heights) = ways(wanted, &forward, &mut layers);
    let order = Order::new(&layers, &ways);
    let middles = order.middles(&heights);
    let height =
        middles.iter().zip(&heights).map(|(middle, height)| middle + height / 2.0).fold(0.0, f64::max);
    let bends = ways.iter().zip(&reversed).map(|(way, reversed)| {
        let inner = way.iter().filter(|place| **place >= nodes).map(|place| middles[*place]);
        if *reversed { inner.rev().collect() } else { inner.collect() }
    });
    let bends = bends.collect();
    layers.truncate(nodes);
    Layout { layers, middles: middles[..nodes].to_vec(), bends, reversed, height }
}

/// Which edges close a cycle: without them there is none.
fn backwards(nodes: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    let mut out = vec![Vec::new(); nodes];
    for (index, (from, _)) in edges.iter().enumerate() {
        out[*from].push(index);
    }
    let (mut reversed, mut state) = (vec![false; edges.len()], vec![0_u8; nodes]);
    for start in 0..nodes {
        let mut way = Vec::new();
        if state[start] == 0 {
            state[start] = 1;
            way.push((start, 0));
        }
        while let Some((node, next)) = way.last_mut() {
            let Some(edge) = out[*node].get(*next).copied() else {
                state[*node] = 2;
                way.pop();
                continue;
            };
            *next += 1;
            let to = edges[edge].1;
            match state[to] {
                0 => {
                    state[to] = 1;
                    way.push((to, 0));
                }
                1 => reversed[edge] = true,
                _ => {}
            }
        }
    }
    reversed
}

/// Each node one layer behind the last of those that call it.
fn layers(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut out = vec![Vec::new(); nodes];
    let mut waiting = vec![0_usize; nodes];
    for (from, to) in edges.iter().filter(|(from, to)| from != to) {
        out[*from].push(*to);
        waiting[*to] += 1;
    }
    let mut layers = vec![0; nodes];
    let mut ready: Vec<_> = (0..nodes).filter(|node| waiting[*node] == 0).collect();
    while let Some(node) = ready.pop() {
        for to in &out[node] {
            layers[*to] = layers[*to].max(layers[node] + 1);
            waiting[*to] -= 1;
            if waiting[*to] == 0 {
                ready.push(*to);
            }
        }
    }
    layers
}

/// The places that each edge passes, its ends included; new ones get a layer and a height.
fn ways(wanted: &Wanted, edges: &[(usize, usize)], layers: &mut Vec<usize>) -> (Vec<Vec<usize>>, Vec<f64>) {
    let mut heights = wanted.heights.clone();
    let between = |(from, to): &(usize, usize)| layers[*to].saturating_sub(layers[*from] + 1);
    let bends: usize = edges.iter().map(between).sum();
    let mut ways = Vec::with_capacity(edges.len());
    for (from, to) in edges {
        let mut way = vec![*from];
        if bends <= BENDS_AT_MOST {
            for layer in layers[*from] + 1..layers[*to] {
                way.push(layers.len());
                layers.push(layer);
                heights.push(wanted.bend);
            }
        }
        way.push(*to);
        ways.push(way);
    }
    (ways, heights)
}

/// The order of the places in each layer.
struct Order {
    /// Places from top to bottom.
    layers: Vec<Vec<usize>>,
    /// Of each place, its neighbours to the left and to the right.
    left: Vec<Vec<usize>>,
    right: Vec<Vec<usize>>,
}

impl Order {
    /// Puts each place to the middle of its neighbours, again and again.
    fn new(layers: &[usize], ways: &[Vec<usize>]) -> Self {
        let count = layers.iter().max().map_or(0, |last| last + 1);
        let mut order = Self {
            layers: vec![Vec::new(); count],
            left: vec![Vec::new(); layers.len()],
            right: vec![Vec::new(); layers.len()],
        };
        for (place, layer) in layers.iter().enumerate() {
            order.layers[*layer].push(place);
        }
        for pair in ways.iter().flat_map(|way| way.windows(2)) {
            let &[from, to] = pair else { continue };
            order.right[from].push(to);
            order.left[to].push(from);
        }
        let mut ranks = vec![0.0; layers.len()];
        order.layers.iter().for_each(|layer| rank(layer, &mut ranks));
        for sweep in 0..SWEEPS {
            for step in 0..count {
                let rightwards = sweep % 2 == 0;
                let (index, neighbours) =
                    if rightwards { (step, &order.left) } else { (count - 1 - step, &order.right) };
                let layer = &mut order.layers[index];
                let middle = |place: &usize| mean(&neighbours[*place], &ranks).unwrap_or(ranks[*place]);
                layer.sort_by(|one, other| middle(one).total_cmp(&middle(other)));
                rank(layer, &mut ranks);
            }
        }
        order
    }

    /// The middles of all places: none overlaps another, and each lies as near to its neighbours as can be.
    fn middles(&self, heights: &[f64]) -> Vec<f64> {
        let mut middles = vec![0.0; heights.len()];
        for layer in &self.layers {
            let mut top = 0.0;
            for place in layer {
                middles[*place] = top + heights[*place] / 2.0;
                top += heights[*place];
            }
        }
        for sweep in 0..SWEEPS {
            for step in 0..self.layers.len() {
                let rightwards = sweep % 2 == 0;
                let (index, neighbours) =
                    if rightwards { (step, &self.left) } else { (self.layers.len() - 1 - step, &self.right) };
                spread(&self.layers[index], neighbours, heights, &mut middles);
            }
        }
        let tops = middles.iter().zip(heights).map(|(middle, height)| middle - height / 2.0);
        let top = tops.fold(f64::INFINITY, f64::min);
        middles.iter().map(|middle| middle - top).collect()
    }
}

/// Ranks within a layer, from 0 to 1: layers of different lengths can be compared.
fn rank(layer: &[usize], ranks: &mut [f64]) {
    for (at, place) in layer.iter().enumerate() {
        ranks[*place] = (at as f64 + 0.5) / layer.len() as f64;
    }
}

fn mean(places: &[usize], values: &[f64]) -> Option<f64> {
    let sum: f64 = places.iter().map(|place| values[*place]).sum();
    (!places.is_empty()).then(|| sum / places.len() as f64)
}

/// Moves the places of a layer to the middles of their neighbours, as far as their order and heights allow:
/// where places push one another, they share the way (isotonic regression by pooling adjacent violators).
fn spread(layer: &[usize], neighbours: &[Vec<usize>], heights: &[f64], middles: &mut [f64]) {
    // Of each block: the sum of what its places want as its beginning, and how many they are.
    let mut blocks: Vec<(f64, usize)> = Vec::with_capacity(layer.len());
    let (mut offset, mut offsets) = (0.0, Vec::with_capacity(layer.len()));
    for place in layer {
        let wanted = mean(&neighbours[*place], middles).unwrap_or(middles[*place]);
        offsets.push(offset + heights[*place] / 2.0);
        blocks.push((wanted - offset - heights[*place] / 2.0, 1));
        offset += heights[*place];
        while let [.., (above, many), (below, few)] = blocks[..]
            && above / many as f64 > below / few as f64
        {
            blocks.pop();
            blocks.pop();
            blocks.push((above + below, many + few));
        }
    }
    let beginnings = blocks.iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / *count as f64, *count));
    for ((place, offset), beginning) in layer.iter().zip(offsets).zip(beginnings) {
        middles[*place] = beginning + offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(nodes: usize, edges: &[(usize, usize)]) -> Layout {
        layout(&Wanted { heights: vec![40.0; nodes], edges: edges.to_vec(), bend: 10.0 })
    }

    #[test]
    fn calls_go_to_the_right_and_long_ones_pass_between() {
        let laid = of(4, &[(0, 1), (1, 2), (0, 2), (2, 3)]);
        assert_eq!(laid.layers, [0, 1, 2, 3]);
        assert_eq!(laid.bends.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0, 1, 0]);
        assert!((laid.middles[1] - laid.bends[2][0]).abs() >= 25.0, "{laid:?}");
    }

    #[test]
    fn a_cycle_has_one_edge_to_the_left() {
        let laid = of(3, &[(0, 1), (1, 2), (2, 0), (1, 1)]);
        assert_eq!(laid.reversed, [false, false, true, true]);
        assert_eq!(laid.layers, [0, 1, 2]);
    }

    #[test]
    fn no_two_nodes_of_a_layer_overlap() {
        let edges: Vec<_> = (0..10).flat_map(|from| (10..40).map(move |to| (from, to))).collect();
        let laid = of(40, &edges);
        for one in 0..40 {
            for other in (0..one).filter(|other| laid.layers[*other] == laid.layers[one]) {
                assert!((laid.middles[one] - laid.middles[other]).abs() >= 39.999, "{one} {other}");
            }
        }
        assert!(laid.height >= 30.0 * 40.0 - 0.001);
        assert_eq!(laid, of(40, &edges));
    }

    #[test]
    fn a_chain_is_a_straight_line() {
        let laid = of(5, &[(0, 1), (1, 2), (2, 3), (3, 4)]);
        assert!(laid.middles.iter().all(|middle| (middle - 20.0).abs() < 1e-9), "{laid:?}");
    }
}
