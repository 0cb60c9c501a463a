//! Nonces nobody has, with others waiting behind them.

use super::effect::Effect;
use super::event::View;
use super::lane::Lane;

/// Looks at the chain a gap must last before the lane fills it itself.
const GAP_VIEWS: u64 = 2;

impl Lane {
    /// The lowest nonce that is neither used nor bound: a gap is filled by the next real intent.
    pub(super) fn free_nonce(&self, view: &View) -> u64 {
        let mut nonce = view.account_nonce.max(self.final_below);
        while self.flights.contains_key(&nonce) {
            nonce = nonce.saturating_add(1);
        }
        nonce
    }

    /// Nonces nobody has below the last one that waits for a block; a window's worth at most.
    pub(super) fn gap_count(&self, view: &View) -> usize {
        let lowest = self.free_nonce(view);
        let last = self.flights.iter().rfind(|(_, flight)| flight.is_pending());
        let last = last.map_or(lowest, |(last, _)| *last);
        let gaps = (lowest..last).filter(|nonce| !self.flights.contains_key(nonce));
        gaps.take(self.config.max_window).count()
    }

    /// Nonces nobody wants, with others waiting behind them, are filled by empty transactions of the
    /// lane's own once no real intents have come for them.
    pub(super) fn watch_gaps(&mut self, view: &View) -> Vec<Effect> {
        let lowest = self.free_nonce(view);
        let last = self.flights.iter().rfind(|(_, flight)| flight.is_pending());
        let blocked = last.and_then(|(last, _)| {
            let behind = self.flights.range(lowest..).find(|(_, flight)| flight.is_pending());
            let intent = behind.and_then(|(_, flight)| flight.intents.first())?;
            Some((*last, intent.id))
        });
        let Some((last, blocked)) = blocked else {
            self.gap = None;
            return Vec::new();
        };
        let since = self.gap.filter(|gap| gap.0 == lowest).map_or(self.views, |gap| gap.1);
        self.gap = Some((lowest, since));
        if self.views.saturating_sub(since) < GAP_VIEWS {
            return Vec::new();
        }
        let coming = self
            .queue
            .values()
            .filter(|waiting| waiting.is_asked || waiting.is_ready(view, self.views));
        let coming = coming.count();
        (lowest..last)
            .filter(|nonce| !self.flights.contains_key(nonce))
            .skip(coming)
            .take(self.config.window)
            .map(|nonce| Effect::FillGap { nonce, blocked })
            .collect()
    }
}
