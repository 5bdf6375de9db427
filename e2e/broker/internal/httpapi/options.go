package httpapi

import (
	"net/http"
	"net/url"
	"strconv"
)

// setOptions changes options of the running node. VerneMQ answers 500 whether it worked or not, and
// ignores values of another kind (recorded).
func (a *api) setOptions(w http.ResponseWriter, q url.Values) {
	for key, values := range q {
		if a.broker.Options.Has(key) && len(values) == 1 {
			a.broker.Options.Set(key, values[0])
		}
	}
	w.WriteHeader(http.StatusInternalServerError)
}

// showOption gives one option with its kind.
func (a *api) showOption(w http.ResponseWriter, key string) {
	if !a.broker.Options.Has(key) {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	text := a.broker.Options.Get(key)
	var value any = text
	if number, err := strconv.Atoi(text); err == nil {
		value = number
	}
	write(w, 200, map[string]any{"type": "table", "table": []map[string]any{{"node": a.node.Name, key: value}}})
}
