//! Fewest left behind: where not all fit, one large unit stays and several small ones go.

use super::super::load::NOWHERE;
use super::board::Board;
use super::greedy::{Fit, Order, greedy, order};
use super::squeeze::{Whom, squeeze};

/// Takes one placed unit out where that lets more guests in than it holds. Ends, because each round leaves fewer behind.
pub fn exchange(board: &mut Board, whom: Whom) {
    while board.fuel > 0 && once(board, whom) {}
}

fn once(board: &mut Board, whom: Whom) -> bool {
    let left = board.left();
    if left.len() < 2 {
        return false;
    }
    let behind = board.left_guests();
    let mut placed =
        order(board, (0..board.asked).filter(|u| board.at[*u] != NOWHERE).collect(), Order::Largest);
    placed.retain(|u| board.units[*u].memory > 0);
    let waiting = order(board, left, Order::Smallest);
    let least = board.units[waiting[0]].memory;
    for unit in placed {
        if board.units[unit].memory <= least || board.fuel <= 0 {
            break;
        }
        let mark = board.mark();
        board.lift(unit);
        greedy(board, &waiting, Fit::Tight);
        if board.left_guests() >= behind {
            for other in &waiting {
                if board.at[*other] == NOWHERE {
                    squeeze(board, *other, whom, 1);
                }
            }
        }
        if board.left_guests() < behind {
            return true;
        }
        board.back_to(mark);
    }
    false
}
