// Package where builds the conditions of lists.
package where

import (
	"strconv"
	"strings"
)

// Clause is conditions that must all hold, with their arguments. The zero value holds always.
type Clause struct {
	sql  strings.Builder
	args []any
}

// And adds a condition. Each ? in it stands for one of the values.
func (c *Clause) And(condition string, values ...any) {
	c.sql.WriteString(" AND (")
	for _, v := range values {
		before, after, _ := strings.Cut(condition, "?")
		c.sql.WriteString(before)
		c.sql.WriteString(c.Arg(v))
		condition = after
	}
	c.sql.WriteString(condition)
	c.sql.WriteByte(')')
}

// Arg adds an argument and gives its placeholder.
func (c *Clause) Arg(v any) string {
	c.args = append(c.args, v)
	return "$" + strconv.Itoa(len(c.args))
}

// Next is the number that the next argument gets.
func (c *Clause) Next() int { return len(c.args) + 1 }

// SQL is the clause, WHERE included.
func (c *Clause) SQL() string { return " WHERE TRUE" + c.sql.String() }

// Args are the arguments in the order of their placeholders.
func (c *Clause) Args() []any { return c.args }
