package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// appendParams bounds the parameters of one INSERT: far below what the engines take, and more gains nothing.
const appendParams = 900

// exactRows is up to how many rows an INSERT is made to measure. Longer ones have a power of two of rows, so that the
// statements which a connection keeps prepared stay few.
const exactRows = 4

// appended are rows on their way to one table, one after the other in values.
type appended struct {
	table   string
	columns []string
	values  []any
}

// Append implements Tx.
func (s *txState) Append(table string, columns []string, values ...any) {
	if len(columns) == 0 || len(values) != len(columns) {
		err := fmt.Errorf("%d values for the %d columns of a row", len(values), len(columns))
		_ = s.badArgument(err, "INSERT INTO "+table)
		return
	}
	s.writes++
	for i := len(s.appended) - 1; i >= 0; i-- {
		a := &s.appended[i]
		if a.table != table {
			continue
		}
		if slices.Equal(a.columns, columns) {
			a.values = append(a.values, values...)
			return
		}
		break // rows with other columns stay ahead of this one
	}
	s.appended = append(s.appended, appended{table, columns, slices.Clone(values)})
}

// pending tells whether something waits to be sent.
func (s *txState) pending() bool { return len(s.queue)+len(s.appended) > 0 }

// take hands over all that waits: the queue, and behind it the appended rows.
func (s *txState) take(engine Engine) []statement {
	s.push(engine, func(string) bool { return true })
	list := s.queue
	s.queue = nil
	return list
}

// takeFor hands over what must be sent before a statement: the queue, and rows of tables that it names. Other rows wait for more
// of their kind.
func (s *txState) takeFor(engine Engine, sql string) []statement {
	s.push(engine, func(table string) bool { return strings.Contains(sql, table) })
	list := s.queue
	s.queue = nil
	return list
}

// push moves the appended rows of tables to the queue, with all that were appended before them and that they may need.
func (s *txState) push(engine Engine, tables func(name string) bool) {
	n := len(s.appended)
	for n > 0 && !tables(s.appended[n-1].table) {
		n--
	}
	for _, a := range s.appended[:n] {
		s.queue = a.statements(s.queue, engine)
	}
	s.appended = slices.Delete(s.appended, 0, n)
}

// statements adds the INSERTs of the rows to list.
func (a appended) statements(list []statement, engine Engine) []statement {
	width := len(a.columns)
	for values := a.values; len(values) > 0; {
		n := chunk(len(values)/width, width)
		list = append(list, statement{insertRows(engine, a.table, a.columns, n), values[:n*width]})
		values = values[n*width:]
	}
	return list
}

// chunk is how many of the rows the next INSERT takes.
func chunk(rows, columns int) int {
	rows = max(1, min(rows, appendParams/columns))
	if rows <= exactRows {
		return rows
	}
	n := exactRows
	for n*2 <= rows {
		n *= 2
	}
	return n
}

func insertRows(engine Engine, table string, columns []string, rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + quote(table) + " (")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(c))
	}
	b.WriteString(") VALUES ")
	for i := range rows * len(columns) {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%len(columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		// SQLite's driver looks the name of each parameter up in a list, which costs their square: they have none there.
		if engine == SQLite {
			b.WriteByte('?')
		} else {
			b.WriteString("$" + strconv.Itoa(i+1))
		}
	}
	b.WriteString(")")
	return b.String()
}
