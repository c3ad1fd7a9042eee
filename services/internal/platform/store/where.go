package store

import (
	"slices"
	"strconv"
	"strings"
)

// Where puts the conditions of a list together with their arguments. All must hold; the zero value always does. What is
// added to a copy stays with the copy.
type Where struct {
	conditions []string
	args       []any
}

// And adds a condition in which each ? stands for the next of args. It may hold OR.
func (w *Where) And(condition string, args ...any) {
	w.conditions = append(slices.Clip(w.conditions), "("+w.fill(condition, args)+")")
}

// In adds the condition that expr is one of the values; no values do not matter, as an empty filter of a list.
func (w *Where) In(d Dialect, expr string, values []string) {
	if len(values) > 0 {
		w.Arg(d.Strings(values))
		w.And(d.In(expr, len(w.args)))
	}
}

// Arg adds an argument and returns its placeholder, for what takes one more than once.
func (w *Where) Arg(v any) string {
	w.args = append(slices.Clip(w.args), v)
	return "$" + strconv.Itoa(len(w.args))
}

// Select is the statement with all its arguments: the head, the conditions, and the tail, in which each ? stands for the
// next of args.
func (w *Where) Select(head, tail string, args ...any) (sql string, all []any) {
	if len(w.conditions) > 0 {
		head += " WHERE " + strings.Join(w.conditions, " AND ")
	}
	if tail != "" {
		head += " " + w.fill(tail, args)
	}
	return head, w.args
}

func (w *Where) fill(sql string, args []any) string {
	var b strings.Builder
	for _, arg := range args {
		before, after, _ := strings.Cut(sql, "?")
		b.WriteString(before)
		b.WriteString(w.Arg(arg))
		sql = after
	}
	b.WriteString(sql)
	return b.String()
}
