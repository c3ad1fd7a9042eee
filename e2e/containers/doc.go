// Package containers tests Tasuki as its images and its compose stack ship it. It is a module of its own, because what
// drives a container engine weighs more than everything else that e2e needs.
package containers
