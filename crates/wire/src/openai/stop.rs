//! Holding back text that may turn out to be a stop text.

/// Cuts a growing text where the first stop text becomes whole, and never lets out the beginning
/// of one. Which stop comes first is decided by where it ends, so that the answer does not depend
/// on how the text was cut into pieces.
#[derive(Clone, Debug, Default)]
pub struct StopFilter {
    stops: Vec<String>,
    held: String,
    stopped: bool,
}

impl StopFilter {
    /// A filter for these texts.
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops, held: String::new(), stopped: false }
    }

    /// Takes more text and gives what is safe to show.
    pub fn push(&mut self, text: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(text);
        let found = self.stops.iter().filter_map(|stop| {
            let start = self.held.find(stop.as_str())?;
            Some((start.saturating_add(stop.len()), start))
        });
        if let Some((_, position)) = found.min() {
            self.stopped = true;
            self.held.truncate(position);
            return core::mem::take(&mut self.held);
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len().saturating_sub(keep));
        core::mem::replace(&mut self.held, rest)
    }

    /// True once a stop text came.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The text still held when the answer ended otherwise.
    pub fn flush(&mut self) -> String {
        if self.stopped { String::new() } else { core::mem::take(&mut self.held) }
    }
}

/// Bytes at the end of `text` that begin `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    stop.char_indices()
        .map(|(at, _)| at)
        .rev()
        .find(|at| stop.get(..*at).is_some_and(|start| text.ends_with(start)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut filter = StopFilter::new(stops.iter().map(ToString::to_string).collect());
        let mut shown: String = pieces.iter().map(|piece| filter.push(piece)).collect();
        shown.push_str(&filter.flush());
        (shown, filter.stopped())
    }

    #[test]
    fn a_stop_split_over_pieces_is_found_and_not_shown() {
        assert_eq!(run(&["END"], &["one E", "N", "D two"]), ("one ".into(), true));
    }

    #[test]
    fn a_false_start_is_shown_in_the_end() {
        assert_eq!(run(&["END"], &["one E", "N"]), ("one EN".into(), false));
        assert_eq!(run(&["END"], &["EN", "EN", "x"]), ("ENENx".into(), false));
    }

    #[test]
    fn the_earliest_of_several_wins() {
        assert_eq!(run(&["two", "ne"], &["one two"]), ("o".into(), true));
        assert_eq!(run(&[], &["a", "b"]), ("ab".into(), false));
        assert_eq!(run(&["ü"], &["aü"]), ("a".into(), true));
    }
}
