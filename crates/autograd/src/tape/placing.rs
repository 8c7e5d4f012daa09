//! Places for the nodes of a graph in rows, after Sugiyama, Tagawa and Toda, "Methods for visual understanding of
//! hierarchical system structures", 1981.
//!
//! An edge over several rows has a point in each of them, which all edges of one origin share. The order within a row follows
//! the medians of neighbours, in sweeps up and down. The places are then the nearest to those medians that keep the order and
//! the distances: an isotonic regression.

/// The distance of neighbours in a row.
const GAP: f64 = 18.0;
/// The width of the place that an edge takes where it passes a row.
const LANE: f64 = 6.0;
/// The sweeps that change the order, and those that only move.
const SORTING: usize = 10;
const MOVING: usize = 24;
/// How much more than a box the point of an edge stays where its neighbours want it, so that long edges are straight.
const STIFFNESS: f64 = 4.0;

/// A graph to be placed: for each node its row, its width, and the nodes from which edges come; these lie in lower rows.
pub(super) struct Graph {
    pub(super) rows: Vec<usize>,
    pub(super) widths: Vec<f64>,
    pub(super) inputs: Vec<Vec<usize>>,
}

/// The places of a graph.
pub(super) struct Places {
    /// The middle of each node.
    pub(super) middles: Vec<f64>,
    /// For each node and each of its inputs, where the edge passes the rows in between, from the input on.
    pub(super) passes: Vec<Vec<Vec<f64>>>,
    /// The places are between 0 and this.
    pub(super) width: f64,
}

/// A node, or a point of an edge in a row.
struct Item {
    width: f64,
    above: Vec<usize>,
    below: Vec<usize>,
    middle: f64,
}

impl Graph {
    pub(super) fn place(&self) -> Places {
        let (mut items, chains) = self.items();
        let mut rows = vec![Vec::new(); self.rows.iter().max().map_or(0, |last| last + 1)];
        for (node, &row) in self.rows.iter().enumerate() {
            rows[row].push(node);
        }
        for (node, chain) in chains.iter().enumerate() {
            for (item, row) in chain.iter().zip(self.rows[node] + 1..) {
                rows[row].push(*item);
            }
        }
        for row in &mut rows {
            settle(row, &mut items, |_, place| place);
        }
        for sweep in 0..SORTING + MOVING {
            let down = sweep % 2 == 0;
            for row in 0..rows.len() {
                let row = if down { row } else { rows.len() - 1 - row };
                let wish = |item: &Item, all: &[Item]| match (sweep < SORTING, down) {
                    (true, true) => median(&item.above, all),
                    (true, false) => median(&item.below, all),
                    (false, _) => balance(item, all),
                };
                let wishes: Vec<f64> =
                    rows[row].iter().map(|&i| wish(&items[i], &items).unwrap_or(items[i].middle)).collect();
                let mut order: Vec<usize> = (0..wishes.len()).collect();
                if sweep < SORTING {
                    order.sort_by(|&a, &b| wishes[a].total_cmp(&wishes[b]));
                }
                rows[row] = order.iter().map(|&place| rows[row][place]).collect();
                settle(&rows[row], &mut items, |place, _| wishes[order[place]]);
            }
        }
        self.places(&items, &chains)
    }

    /// The nodes and, for each node, the points that its edges share in the rows below it.
    fn items(&self) -> (Vec<Item>, Vec<Vec<usize>>) {
        let item = |&width: &f64| Item { width, above: Vec::new(), below: Vec::new(), middle: 0.0 };
        let mut items: Vec<Item> = self.widths.iter().map(item).collect();
        let mut chains = vec![Vec::new(); items.len()];
        for (node, inputs) in self.inputs.iter().enumerate() {
            for &input in inputs {
                let chain: &mut Vec<usize> = &mut chains[input];
                let between = self.rows[node] - self.rows[input] - 1;
                while chain.len() < between {
                    let last = chain.last().copied().unwrap_or(input);
                    items.push(Item { above: vec![last], ..item(&LANE) });
                    let point = items.len() - 1;
                    items[last].below.push(point);
                    chain.push(point);
                }
                let last = between.checked_sub(1).map_or(input, |place| chain[place]);
                items[last].below.push(node);
                items[node].above.push(last);
            }
        }
        (items, chains)
    }

    /// Everything, moved so that the least place is 0.
    fn places(&self, items: &[Item], chains: &[Vec<usize>]) -> Places {
        let left = items.iter().map(|item| item.middle - item.width / 2.0).fold(f64::INFINITY, f64::min);
        let right = items.iter().map(|item| item.middle + item.width / 2.0).fold(f64::NEG_INFINITY, f64::max);
        let middle = |item: usize| items[item].middle - left;
        let passes = |(node, inputs): (usize, &Vec<usize>)| {
            let pass = |&input: &usize| {
                let between = self.rows[node] - self.rows[input] - 1;
                chains[input][..between].iter().map(|&item| middle(item)).collect()
            };
            inputs.iter().map(pass).collect()
        };
        Places {
            middles: (0..self.rows.len()).map(middle).collect(),
            passes: self.inputs.iter().enumerate().map(passes).collect(),
            width: (right - left).max(0.0),
        }
    }
}

fn median(neighbours: &[usize], items: &[Item]) -> Option<f64> {
    let mut middles: Vec<f64> = neighbours.iter().map(|&i| items[i].middle).collect();
    middles.sort_by(f64::total_cmp);
    let half = middles.len() / 2;
    match middles.len() {
        0 => None,
        n if n % 2 == 1 => Some(middles[half]),
        _ => Some(f64::midpoint(middles[half - 1], middles[half])),
    }
}

/// The mean of the medians above and below.
fn balance(item: &Item, items: &[Item]) -> Option<f64> {
    let sides = [median(&item.above, items), median(&item.below, items)];
    let known = sides.iter().flatten().count();
    (known > 0).then(|| sides.iter().flatten().sum::<f64>() / known as f64)
}

/// Gives the items of a row, in this order, the middles nearest to the wished ones at which none overlap. `wish` is asked with
/// the place in the row, and the middle if all items were side by side.
fn settle(row: &[usize], items: &mut [Item], wish: impl Fn(usize, f64) -> f64) {
    // Blocks of items that stand side by side: the sums of weighted wishes less offsets and of weights, and the number.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    let (mut offset, mut offsets) = (0.0, Vec::with_capacity(row.len()));
    for (place, &item) in row.iter().enumerate() {
        if place > 0 {
            offset += f64::midpoint(items[row[place - 1]].width, items[item].width) + GAP;
        }
        offsets.push(offset);
        let weight = if items[item].width == LANE { STIFFNESS } else { 1.0 };
        blocks.push((weight * (wish(place, offset) - offset), weight, 1));
        // Pool adjacent violators (Ayer et al., 1955).
        while let [.., (sum, weight, count), (last_sum, last_weight, last_count)] = blocks[..]
            && sum * last_weight > last_sum * weight
        {
            blocks.pop();
            *blocks.last_mut().expect("there were two") =
                (sum + last_sum, weight + last_weight, count + last_count);
        }
    }
    let means = blocks.iter().flat_map(|&(sum, weight, count)| std::iter::repeat_n(sum / weight, count));
    for ((&item, offset), mean) in row.iter().zip(offsets).zip(means) {
        items[item].middle = mean + offset;
    }
}
