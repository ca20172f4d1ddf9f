-- Texts of deleted rooms whose authors were erased: what is searched kept them.

DELETE FROM texts t USING messages m, rooms r
    WHERE m.room_id = t.room_id AND m.id = t.message_id AND m.deleted_at IS NOT NULL
      AND r.id = m.room_id AND r.deleted_at IS NOT NULL;
