package health

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/theory/jsonpath"
)

const maxJobsAnswer = 1 << 20 // bytes of an answer that tells the number of active jobs

// Hook tells a worker that it drains. An error says why it does not know; it may be told again.
func (p Prober) Hook(ctx context.Context, t Target) error {
	if command := t.Drain.Errand(); len(command.Words) > 0 {
		ctx, cancel := context.WithTimeout(ctx, t.Drain.Timeout.Std())
		defer cancel()
		return explain(ctx, t, p.run(ctx, t, command, t.Drain.Timeout))
	}
	ctx, cancel := context.WithTimeout(ctx, t.Check.Timeout.Std())
	defer cancel()
	hook := t.Drain.Hook.HTTP
	got, err := t.ask(ctx, http.MethodPost, hook.Port, hook.Path, maxBody)
	if err == nil && (got.code < 200 || got.code > 299) {
		err = fmt.Errorf("POST %s answered %s", got.url, got.status)
	}
	return explain(ctx, t, err)
}

// Jobs asks a worker how many jobs it works on. An error says why that cannot be known.
func (Prober) Jobs(ctx context.Context, t Target) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, t.Check.Timeout.Std())
	defer cancel()
	asks := t.Drain.ActiveJobs
	got, err := t.ask(ctx, http.MethodGet, asks.Port, asks.Path, maxJobsAnswer)
	if err == nil && (got.code < 200 || got.code > 299) {
		err = fmt.Errorf("GET %s answered %s", got.url, got.status)
	}
	if err != nil {
		return 0, explain(ctx, t, err)
	}
	n, err := numberIn(got.body, asks.JSONPath)
	if err != nil {
		return 0, short(fmt.Errorf("GET %s: %w", got.url, err))
	}
	return n, nil
}

// numberIn reads the one whole number from 0 that is at a JSONPath of an answer; no path stands for all of it.
func numberIn(body []byte, path string) (int64, error) {
	if len(body) == maxJobsAnswer {
		return 0, fmt.Errorf("the answer has more than %d bytes", maxJobsAnswer-1)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var document any
	if err := decoder.Decode(&document); err != nil {
		return 0, fmt.Errorf("the answer is not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return 0, errors.New("the answer is not JSON: something follows its value")
	}
	if path != "" {
		query, err := jsonpath.Parse(path)
		if err != nil {
			return 0, fmt.Errorf("%q is not a JSONPath: %w", path, err)
		}
		found := query.Select(document)
		if len(found) != 1 {
			return 0, fmt.Errorf("%s selects %d values of the answer instead of one", path, len(found))
		}
		document = found[0]
	}
	number, ok := document.(json.Number)
	if !ok {
		return 0, errors.New("the answer is not a number there")
	}
	n, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is not a whole number from 0", number)
	}
	return n, nil
}
