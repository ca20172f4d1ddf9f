-- Texts of deleted rooms whose authors were erased: what is searched kept them.

DELETE FROM texts t USING messages m
    WHERE t.room_id IN (SELECT id FROM rooms WHERE deleted_at IS NOT NULL)
      AND m.room_id = t.room_id AND m.id = t.message_id AND m.deleted_at IS NOT NULL;
