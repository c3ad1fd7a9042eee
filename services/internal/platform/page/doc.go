// Package page pages lists by keyset: a page token holds the order columns of the last row that was given out, so no row
// comes twice or is skipped while others are inserted. Tokens are opaque, carry a checksum, and are bound to the request
// they were made for. They are neither secret nor signed: a token only positions a query that the caller may run anyway.
//
//	query := page.Bind(req) // all of the request but page_size and page_token
//	after, err := query.After(req.PageToken) // nil on the first page
//	rows := … WHERE (created_at, id) < ($at, $id) ORDER BY created_at DESC, id DESC LIMIT $limit + 1
//	leads, next := page.Cut(rows, limit, func(last Lead) string { return query.Encode(last.CreatedAt, last.ID) })
package page
