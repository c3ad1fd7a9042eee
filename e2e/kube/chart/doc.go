// Package chart tests what the Helm chart renders. It needs helm, and no cluster.
package chart
