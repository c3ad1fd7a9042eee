// Package etag lets a client change a resource only as it last saw it: the version number travels as the etag.
package etag
