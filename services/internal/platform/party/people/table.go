package people

import "slices"

// Table is a table that says something of people, or that has a column of an account. A department names all of its tables
// of that kind, so that no merge and no erasure leaves one out.
type Table struct {
	Name string
	// Key are the columns of its primary key.
	Key []string
	// Person is the column with the id of the person; empty when its rows only hang on those of Of.
	Person string
	// Account is the column with the id of the account; empty when there is none. Merges of people leave it alone.
	Account string
	// Of is an earlier table whose rows these belong to: By is the column with their first key, or with what they have in
	// OfColumn, which is their Account.
	Of, By, OfColumn string
	// Mail is a column with the normalised mail address, by which rows are found that another id was given to.
	Mail string
	// Journey is the column with the journey, by which its handoffs are found.
	Journey string
	// Subject is how events name its rows: `work-item` for `work-item/ID`. Empty when they do not.
	Subject string

	// What an erasure does to the columns. Facts are mail addresses, phone numbers and full names, which are learnt, to be cut
	// out of all other texts, and emptied. Blank are emptied, and Null set to NULL.
	// Text are free text, of which mail address, phone number and name are cut out. JSON are documents in which the person is
	// left with nothing but its id, and texts are cut alike.
	Facts, Blank, Null, Text, JSON []string
	// Unique is a column that was made of an address and must stay unique: an erasure puts a new id in it, after `e:`. One
	// that is the id of a person stays.
	Unique string
	// Stays tells that a merge leaves the rows with the person that they were made for.
	Stays bool
	// Collides tells that its primary key contains the person: where a merge would make two rows of one, the survivor's stays.
	Collides bool
}

// columns that an erasure changes.
func (t Table) columns() []string {
	all := slices.Concat(t.Facts, t.Blank, t.Null, t.Text, t.JSON)
	if t.Unique != "" {
		all = append(all, t.Unique)
	}
	return all
}

// Shared are the tables that the platform gives every department; the packages that own them follow merges and erasures
// themselves.
func Shared() []Table {
	return []Table{
		{Name: "handoffs", Person: "person_id", Account: "account_id"},
		{Name: "person_redirects", Person: "person_id"},
		{Name: "person_consents", Person: "person_id"},
		{Name: "person_erasures", Person: "person_id"},
	}
}
