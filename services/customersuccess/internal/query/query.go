// Package query puts the conditions of a List together.
package query

import (
	"strconv"
	"strings"
)

// Where is conditions that must all hold, with their arguments.
type Where struct {
	conditions []string
	args       []any
}

// Arg adds an argument and returns its placeholder.
func (w *Where) Arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

// Next is the number that the next argument will have, for fragments that want the number instead of the placeholder.
func (w *Where) Next() int { return len(w.args) + 1 }

// And adds a condition in which each ? stands for the next of the arguments.
func (w *Where) And(condition string, args ...any) {
	for _, arg := range args {
		condition = strings.Replace(condition, "?", w.Arg(arg), 1)
	}
	w.conditions = append(w.conditions, condition)
}

// Select is the statement: the head, the conditions, and the tail, in which each ? stands for the next of args.
func (w *Where) Select(head, tail string, args ...any) (sql string, all []any) {
	for _, arg := range args {
		tail = strings.Replace(tail, "?", w.Arg(arg), 1)
	}
	if len(w.conditions) > 0 {
		head += " WHERE " + strings.Join(w.conditions, " AND ")
	}
	return head + " " + tail, w.args
}
